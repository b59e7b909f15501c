// The Services: a pool's headless one, that makes EndpointSlices, and a model's own name in DNS. Pure.
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import type { Service } from '../../kube/resources.ts';
import { poolObjects, serverPort } from '../../pool.ts';
import { modelLabels, owners, poolMeta, trafficSelector } from './meta.ts';
import type { PoolPlan } from './pool-plan.ts';

export function poolService(plan: PoolPlan): Service {
  return {
    metadata: poolMeta(plan, poolObjects(plan.pool).service),
    spec: {
      clusterIP: 'None',
      selector: trafficSelector(plan.pool),
      ports: [{ name: 'http', port: serverPort, targetPort: 'http', protocol: 'TCP' }],
    },
  };
}

/** `gatewayHost` is the full DNS name of the gateways' Service. */
export function modelService(model: ReferenceModel, gatewayHost: string): Service {
  const { name, namespace } = model.metadata;
  return {
    metadata: { name, namespace, labels: modelLabels(name), ownerReferences: owners([model]) },
    spec: { type: 'ExternalName', externalName: gatewayHost },
  };
}
