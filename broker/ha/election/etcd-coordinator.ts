// The group of a broker in etcd v3: `/cometmq/<cluster>/<brokerName>/` holds `record`, `holder` and `members/<brokerId>`.
// Which calls go where, and how they fail, is etcd-gateway.ts. Loaded only by brokers with elections.
import { type Address, type Clock, type Logger, MqError } from "../../../base/index.ts";
import type {
  CallDeadline,
  ChangeOutcome,
  Coordinator,
  CoordinatorMember,
  GroupChange,
  GroupView,
  LeaseGrant,
  MemberEntry,
} from "./coordinator.ts";
import { base64, decodeView, encodeEntry, encodeHolder, encodeRecord } from "./etcd-codec.ts";
import { EtcdGateway, type JsonObject, objectOf, textOf } from "./etcd-gateway.ts";
import { EtcdWatch } from "./etcd-watch.ts";

/** Which etcd, and which group of it. */
export interface EtcdCoordinatorOptions {
  readonly members: readonly Address[];
  readonly clusterName: string;
  readonly brokerName: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Lease = CallDeadline & { readonly leaseId: string };

/** One group, through the members of an etcd cluster. */
export class EtcdCoordinator implements Coordinator {
  readonly #gateway: EtcdGateway;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #prefix: string;
  #watch: EtcdWatch | undefined;

  constructor(options: EtcdCoordinatorOptions) {
    if (options.members.length === 0) {
      throw new MqError("BAD_CONFIG", "controllerAddr is empty: HOST:PORT of the etcd members");
    }
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#gateway = new EtcdGateway({ clock: options.clock, members: options.members });
    const part = encodeURIComponent;
    this.#prefix = `/cometmq/${part(options.clusterName)}/${part(options.brokerName)}/`;
  }

  async read({ timeoutMs }: CallDeadline): Promise<GroupView> {
    const answer = await this.#call("/v3/kv/range", this.#range(), timeoutMs);
    return decodeView(answer ?? {}, this.#prefix);
  }

  async commit(change: GroupChange, { timeoutMs }: CallDeadline): Promise<ChangeOutcome> {
    const { answer } = await this.#gateway.call({
      path: "/v3/kv/txn",
      body: this.#transaction(change),
      timeoutMs,
      repeatable: false,
    });
    // "Not found" is a lease that has just gone, and with it the whole transaction.
    if (answer === undefined || answer["succeeded"] !== true) return { kind: "conflict" };
    return { kind: "done", revision: Number(objectOf(answer["header"])?.["revision"]) };
  }

  async announce(entry: MemberEntry, lease: Lease): Promise<"done" | "taken" | "gone"> {
    const key = this.#memberKey(entry.brokerId);
    const put = { request_put: { key, value: encodeEntry(entry), lease: lease.leaseId } };
    const create = { compare: [{ key, target: "CREATE", create_revision: "0" }], success: [put] };
    const body = {
      compare: [{ key, target: "LEASE", lease: lease.leaseId }],
      success: [put],
      failure: [{ request_txn: create }],
    };
    const answer = await this.#call("/v3/kv/txn", body, lease.timeoutMs);
    if (answer === undefined) return "gone";
    if (answer["succeeded"] === true) return "done";
    const [first] = Array.isArray(answer["responses"]) ? answer["responses"] : [];
    const created = objectOf(objectOf(first)?.["response_txn"])?.["succeeded"] === true;
    return created ? "done" : "taken";
  }

  async grantLease(wanted: CallDeadline & { readonly ttlSeconds: number }): Promise<LeaseGrant> {
    const { answer, sentAtMs } = await this.#gateway.call({
      path: "/v3/lease/grant",
      body: { TTL: String(wanted.ttlSeconds) },
      timeoutMs: wanted.timeoutMs,
      repeatable: true,
    });
    const leaseId = answer?.["ID"];
    const ttlSeconds = Number(answer?.["TTL"]);
    if (typeof leaseId !== "string" || !(ttlSeconds > 0)) {
      throw new MqError("COORDINATOR_UNREACHABLE", "etcd: the answer to a lease holds none");
    }
    return { leaseId, ttlSeconds, sentAtMs };
  }

  async keepAlive({ leaseId, timeoutMs }: Lease): Promise<LeaseGrant | "gone"> {
    const { answer, sentAtMs } = await this.#gateway.call({
      path: "/v3/lease/keepalive",
      body: { ID: leaseId },
      timeoutMs,
      repeatable: true,
    });
    const ttlSeconds = Number(answer?.["TTL"] ?? 0);
    return ttlSeconds > 0 ? { leaseId, ttlSeconds, sentAtMs } : "gone";
  }

  async revoke({ leaseId, timeoutMs }: Lease): Promise<void> {
    await this.#call("/v3/lease/revoke", { ID: leaseId }, timeoutMs);
  }

  watch(changed: () => void): void {
    this.#watch ??= new EtcdWatch({
      gateway: this.#gateway,
      clock: this.#clock,
      logger: this.#logger,
      range: this.#range(),
      changed,
    });
    this.#watch.start();
  }

  status({ timeoutMs }: CallDeadline): Promise<readonly CoordinatorMember[]> {
    return Promise.all(
      this.#gateway.members.map((_, index) => this.#memberStatus(index, timeoutMs)),
    );
  }

  close(): void {
    this.#watch?.close();
    this.#gateway.close();
  }

  async #memberStatus(index: number, timeoutMs: number): Promise<CoordinatorMember> {
    const address = this.#gateway.addressOf(index);
    try {
      const answer = await this.#gateway.callMember(index, {
        path: "/v3/maintenance/status",
        body: {},
        timeoutMs,
      });
      const own = objectOf(answer?.["header"])?.["member_id"];
      return {
        address,
        failure: undefined,
        isLeader: own !== undefined && own === answer?.["leader"],
        version: textOf(answer?.["version"]),
        dbSizeBytes: Number(answer?.["dbSize"] ?? 0),
      };
    } catch (error) {
      const failure = error instanceof Error ? error.message : String(error);
      return { address, failure, isLeader: false, version: "", dbSizeBytes: 0 };
    }
  }

  /** A call that does no harm when two members get it. */
  async #call(path: string, body: JsonObject, timeoutMs: number): Promise<JsonObject | undefined> {
    const { answer } = await this.#gateway.call({ path, body, timeoutMs, repeatable: true });
    return answer;
  }

  #transaction(change: GroupChange): JsonObject {
    const record = base64(`${this.#prefix}record`);
    const holder = base64(`${this.#prefix}holder`);
    const compare: JsonObject[] = [
      { key: record, target: "MOD", mod_revision: String(change.ifRevision) },
      change.ifHolder === undefined
        ? { key: holder, target: "CREATE", create_revision: "0" }
        : { key: holder, target: "LEASE", lease: change.ifHolder },
    ];
    const success: JsonObject[] = [
      { request_put: { key: record, value: encodeRecord(change.record) } },
    ];
    if (change.holder === "nobody") {
      success.push({ request_delete_range: { key: holder } });
    } else if (change.holder !== "same") {
      const { brokerId, leaseId } = change.holder;
      compare.push({ key: this.#memberKey(brokerId), target: "LEASE", lease: leaseId });
      const value = encodeHolder(change.holder);
      success.push({ request_put: { key: holder, value, lease: leaseId } });
    }
    return { compare, success };
  }

  #range(): JsonObject {
    // The character after "/" ends the range of all keys below it.
    const end = `${this.#prefix.slice(0, -1)}0`;
    return { key: base64(this.#prefix), range_end: base64(end) };
  }

  #memberKey(brokerId: number): string {
    return base64(`${this.#prefix}members/${brokerId}`);
  }
}
