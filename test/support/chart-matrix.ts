// Values of the chart, row by row, as they are given to `helm --set`. Together the rows set each value that there is.

/** Whether a key, dots in it escaped, is the value at `path` or lies in it. */
export const sets = (key: string, path: string): boolean =>
  key === path || key.startsWith(`${path}.`) || key.startsWith(`${path}[`);

export const keyOf = (value: string): string => value.slice(0, value.indexOf('='));

const peer = 'podSelector.matchLabels.role=other';

export const chartMatrix: { name: string; values: string[] }[] = [
  { name: 'as it is', values: [] },
  { name: 'without the definitions', values: ['crds.enabled=false'] },
  { name: 'with definitions that go with it', values: ['crds.keep=false'] },
  {
    name: 'with labels of a team, the chart’s own among them',
    values: ['labels.team=rl', 'labels.app\\.kubernetes\\.io/name=other'],
  },
  {
    name: 'for two namespaces, whose leases and caches are guarded',
    values: ['watch.namespaces={default,refmodel-chart}', 'gateway.managementAccess=Authenticated'],
  },
  {
    name: 'behind a proxy and a mirror',
    values: [
      'proxy.https=http://proxy:3128',
      'proxy.http=http://proxy:3128',
      'proxy.except=.svc\\,10.0.0.0/8',
      'huggingFace.endpoint=https://hub.example',
    ],
  },
  { name: 'offline', values: ['huggingFace.offline=true', 'logLevel=debug'] },
  {
    name: 'with a registry of its own',
    values: [
      'image.repository=r.example/refmodel',
      'image.tag=2.0.0',
      'image.cudaTag=2.0.0-cuda13',
      'image.pullPolicy=Always',
      'image.pullSecrets[0].name=registry',
    ],
  },
  {
    name: 'on nodes of its own, above others',
    values: ['operator', 'gateway'].flatMap((process) => [
      `${process}.priorityClassName=system-cluster-critical`,
      `${process}.nodeSelector.role=system`,
      `${process}.tolerations[0].key=system`,
      `${process}.tolerations[0].operator=Exists`,
      `${process}.resources.limits.memory=2Gi`,
    ]),
  },
  { name: 'without NetworkPolicies', values: ['networkPolicies.enabled=false'] },
  {
    name: 'with NetworkPolicies that name every peer',
    values: [
      ...['clients', 'metrics', 'dns.to', 'hub.to', 'kubernetesApi.to'].map(
        (peers) => `networkPolicies.${peers}[0].${peer}`,
      ),
      ...['operator', 'gateway', 'models'].map(
        (process) => `networkPolicies.extraEgress.${process}[0].to[0].${peer}`,
      ),
      ...['dns', 'hub', 'kubernetesApi'].map(
        (place) => `networkPolicies.${place}.ports[0].port=3128`,
      ),
    ],
  },
  {
    name: 'watched by Prometheus and Grafana',
    values: [
      ...['monitors', 'rules', 'dashboard'].map((part) => `monitoring.${part}.enabled=true`),
      'monitoring.monitors.labels.release=stack',
      'monitoring.monitors.interval=15s',
      'monitoring.rules.labels.release=stack',
      'monitoring.dashboard.labels.grafana_folder=rl',
    ],
  },
  { name: 'traced', values: ['tracing.endpoint=http://c:4318', 'tracing.ratio=0.1'] },
  {
    name: 'with one of each, and one class less',
    values: ['operator.replicas=1', 'gateway.replicas=1', 'gpuClasses.l4-24gb=null'],
  },
  {
    name: 'in a cluster of another domain, impatient and without a console',
    values: ['clusterDomain=rl.example', 'gateway.holdTimeoutMs=5000', 'gateway.console=false'],
  },
];
