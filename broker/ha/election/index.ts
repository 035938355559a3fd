import type { Coordinator } from "./coordinator.ts";
import type { EtcdCoordinatorOptions } from "./etcd-coordinator.ts";

export type {
  ChangeOutcome,
  Coordinator,
  CoordinatorMember,
  GroupChange,
  GroupRecord,
  GroupView,
  Holder,
  LeaseGrant,
  Member,
  MemberEntry,
} from "./coordinator.ts";
export {
  type ElectionHost,
  type ElectionOptions,
  ElectionRunner,
  type ElectionStatus,
} from "./election-runner.ts";
export type { ElectedPlace } from "./election-state.ts";
export type { EtcdCoordinatorOptions } from "./etcd-coordinator.ts";

/** The group's place in etcd. What it needs is loaded here, so that a broker without elections does not wait for it. */
export async function openEtcdCoordinator(options: EtcdCoordinatorOptions): Promise<Coordinator> {
  const { EtcdCoordinator } = await import("./etcd-coordinator.ts");
  return new EtcdCoordinator(options);
}
