// The agent that enforces NetworkPolicies on the node: sigs.k8s.io/kube-network-policies, which decides about the first
// packet of each connection in user space. Two things are ours: it takes a kubeconfig, and the packets reach it through
// the NFQUEUE target of iptables, since kernels may lack nftables' own queue (CONFIG_NFT_QUEUE). They come from two
// hooks: what leaves for a pod or for elsewhere, and what a pod sends to the node itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

const queue = 100

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	node := flag.String("node", "", "name of this node")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *node); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, node string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	controller, err := networkpolicy.NewController(client, shared.Networking().V1().NetworkPolicies(),
		shared.Core().V1().Namespaces(), shared.Core().V1().Pods(), nil, nil, nil, nil,
		networkpolicy.Config{NodeName: node, QueueID: queue})
	if err != nil {
		return err
	}
	if err := queueNewConnections(); err != nil {
		return fmt.Errorf("adding the rules that queue packets: %w", err)
	}
	shared.Start(ctx.Done())
	return controller.Run(ctx)
}

// Packets are dropped while nobody reads the queue: the agent fails closed.
func queueNewConnections() error {
	nft, err := nftables.New()
	if err != nil {
		return err
	}
	table := nft.AddTable(&nftables.Table{Name: "network-policies-queue", Family: nftables.TableFamilyIPv4})
	nft.FlushTable(table)
	for _, place := range []struct {
		name string
		hook *nftables.ChainHook
		ours []expr.Any // packets of the node itself, which no policy concerns
	}{
		{"postrouting", nftables.ChainHookPostrouting, []expr.Any{
			&expr.Meta{Key: expr.MetaKeySKUID, Register: 1}, equals(0, 0, 0, 0)}},
		{"input", nftables.ChainHookInput, []expr.Any{
			&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, equals(interfaceName("lo")...)}},
	} {
		chain := nft.AddChain(&nftables.Chain{Name: place.name, Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: place.hook, Priority: nftables.ChainPriorityRef(*nftables.ChainPriorityNATSource - 6)})
		accept := &expr.Verdict{Kind: expr.VerdictAccept}
		nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(place.ours, accept)})
		nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(established(), accept)})
		nft.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{toQueue()}})
	}
	return nft.Flush()
}

func equals(data ...byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

// As long as IFNAMSIZ, filled up with zeros.
func interfaceName(name string) []byte {
	return append([]byte(name), make([]byte, 16-len(name))...)
}

func established() []expr.Any {
	known := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: known, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// struct xt_NFQ_info_v1 of linux/netfilter/xt_NFQUEUE.h: the first queue, and how many
func toQueue() expr.Any {
	info := xt.Unknown(append(binaryutil.NativeEndian.PutUint16(queue), binaryutil.NativeEndian.PutUint16(1)...))
	return &expr.Target{Name: "NFQUEUE", Rev: 1, Info: &info}
}
