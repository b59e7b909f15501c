// What a Prometheus scrapes because of a ServiceMonitor or PodMonitor, for want of the Prometheus operator: the API server
// selects Services and pods by the labels of the monitor, its ports are found by their names. Static: what is there now.
import { get, type KubeObject } from './cluster.ts';

interface Endpoint {
  port: string;
  path: string;
}
interface MonitorSpec {
  namespaceSelector?: { any?: boolean; matchNames?: string[] };
  selector: {
    matchLabels?: Record<string, string>;
    matchExpressions?: { key: string; operator: 'Exists' }[];
  };
  endpoints?: Endpoint[];
  podMetricsEndpoints?: Endpoint[];
}

interface Port {
  name: string;
  number: number;
}
interface Place {
  namespace: string;
  pod: string;
  ip: string;
  ports: Port[];
}

/** One job for each endpoint of a monitor. Its name is "<kind>/<name>". */
export async function scrapeConfigs(monitor: KubeObject): Promise<object[]> {
  const spec = monitor.spec as unknown as MonitorSpec;
  const labels = selectorText(spec.selector);
  const find = monitor.kind === 'PodMonitor' ? podPlaces : servicePlaces;
  const found = await Promise.all(namespacesOf(monitor, spec).map((name) => find(name, labels)));
  const places = found.flat();
  return (spec.endpoints ?? spec.podMetricsEndpoints ?? []).map(({ port, path }) => ({
    job_name: `${monitor.kind}/${monitor.metadata.name}`,
    metrics_path: path,
    static_configs: places.flatMap(({ namespace, pod, ip, ports }) =>
      ports
        .filter(({ name }) => name === port)
        .map(({ number }) => ({ targets: [`${ip}:${number}`], labels: { namespace, pod } })),
    ),
  }));
}

const selectorText = ({ matchLabels = {}, matchExpressions = [] }: MonitorSpec['selector']) =>
  [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key }) => key),
  ].join(',');

const namespacesOf = ({ metadata }: KubeObject, { namespaceSelector }: MonitorSpec): string[] =>
  namespaceSelector?.any ? ['*'] : (namespaceSelector?.matchNames ?? [metadata.namespace ?? '']);

async function podPlaces(namespace: string, labels: string): Promise<Place[]> {
  const pods = await get('pods', namespace, labels);
  return pods.map(({ metadata, spec, status }) => {
    const containers = spec['containers'] as {
      ports?: { name: string; containerPort: number }[];
    }[];
    const ports = containers.flatMap((container) => container.ports ?? []);
    return {
      namespace: metadata.namespace ?? '',
      pod: metadata.name,
      ip: String(status?.['podIP']),
      ports: ports.map(({ name, containerPort }) => ({ name, number: containerPort })),
    };
  });
}

interface Slice {
  endpoints: { addresses: string[]; targetRef?: { name: string } }[];
  ports: { name: string; port: number }[];
}

async function servicePlaces(namespace: string, labels: string): Promise<Place[]> {
  const services = await get('services', namespace, labels);
  const places = services.map(async ({ metadata }) => {
    const own = metadata.namespace ?? '';
    const slices = await get('endpointslices', own, `kubernetes.io/service-name=${metadata.name}`);
    return (slices as unknown as Slice[]).flatMap(({ endpoints, ports }) =>
      endpoints.map(({ addresses: [ip = ''], targetRef }) => ({
        namespace: own,
        pod: targetRef?.name ?? '',
        ip,
        ports: ports.map(({ name, port }) => ({ name, number: port })),
      })),
    );
  });
  return (await Promise.all(places)).flat();
}
