// Keeps a broker registered with one NameServer over one stream: the whole table first, changes after, a heartbeat
// each second, and all of it again when the stream is lost. The gRPC client is handed in, loaded by who needs it.
import { cometmq, nameServerService } from "@cometmq/proto";
import type * as Grpc from "@grpc/grpc-js";
import { type CancelTimer, type Clock, formatAddress, type Logger, limits } from "../base/index.ts";
import type { Registration } from "../route/index.ts";
import { readDuty } from "./name-server-questions.ts";
import type { NameServerStatus, ReplicaSeen } from "./registrar.ts";
import { sameReplicas } from "./replicas-seen.ts";
import {
  type ProcessFacts,
  sameBroker,
  tableChanges,
  versionOf,
  wholeTable,
} from "./table-events.ts";

type RegisterCall = Grpc.ClientDuplexStream<cometmq.v1.IBrokerEvent, cometmq.v1.RegisterReply>;

/** What a link needs. */
export interface NameServerLinkOptions {
  /** `host:port`. */
  readonly address: string;
  readonly grpc: Pick<typeof Grpc, "Client" | "Metadata" | "credentials">;
  readonly facts: ProcessFacts;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called after each change of what the link says. */
  readonly changed: () => void;
}

type LinkState =
  | { readonly kind: "idle" }
  /** A stream is open; `sent` is the newest table given to it, `answered` whether it has said OK yet. */
  | {
      readonly kind: "open";
      readonly client: Grpc.Client;
      readonly call: RegisterCall;
      readonly sent: Registration;
      readonly answered: boolean;
    }
  | { readonly kind: "waiting"; readonly cancel: CancelTimer }
  | { readonly kind: "closed" };

const code = { ok: 20_000 } as const;
const closeWaitMs = 500;

/** The link to one NameServer. */
export class NameServerLink {
  readonly #options: NameServerLinkOptions;
  #state: LinkState = { kind: "idle" };
  #table: Registration | undefined;
  #status: NameServerStatus;
  #retryMs: number = limits.nameServerRetryMinMs;
  #replicas: readonly ReplicaSeen[] = [];
  #isSettled = false;
  #cancelHeartbeat: CancelTimer | undefined;
  #cancelSilence: CancelTimer | undefined;

  constructor(options: NameServerLinkOptions) {
    this.#options = options;
    this.#status = {
      address: options.address,
      state: "connecting",
      sinceMs: options.clock.now(),
      reason: "not dialled yet",
    };
  }

  /** Makes `table` known, now or as soon as the NameServer can be reached. */
  publish(table: Registration): void {
    this.#table = table;
    if (this.#state.kind === "idle") this.#dial();
    else if (this.#state.kind === "open") this.#sendDifference(table);
  }

  /** How it stands. */
  status(): NameServerStatus {
    return this.#status;
  }

  /** The brokers of this name that the NameServer listed in its last answer; none while it does not answer. */
  replicas(): readonly ReplicaSeen[] {
    return this.#replicas;
  }

  /** Whether this broker is registered there and the NameServer is old enough to know everybody. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Leaves the NameServer; waits at most half a second for it to hear that. */
  async close(): Promise<void> {
    const state = this.#state;
    this.#state = { kind: "closed" };
    this.#stopTimers();
    if (state.kind === "waiting") state.cancel();
    if (state.kind !== "open") return;
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(closeWaitMs, resolve);
      state.call.once("close", () => {
        cancel();
        resolve();
      });
      state.call.resume();
      state.call.write({ unregistration: {} });
      state.call.end();
    });
    state.call.cancel();
    state.client.close();
  }

  #dial(): void {
    const table = this.#table;
    if (table === undefined || this.#state.kind === "closed") return;
    const { grpc, address } = this.#options;
    // A pool of its own, so that no earlier failure's back-off holds this attempt up.
    const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
    });
    const { Register } = nameServerService.methods;
    const call: RegisterCall = client.makeBidiStreamRequest(
      Register.path,
      (event: cometmq.v1.IBrokerEvent) => Buffer.from(Register.request.encode(event)),
      (bytes: Buffer) => Register.response.decode(bytes),
      new grpc.Metadata(),
    );
    this.#state = { kind: "open", client, call, sent: table, answered: false };
    call.on("data", (reply: cometmq.v1.RegisterReply) => this.#hear(call, reply));
    call.on("error", (error: Grpc.ServiceError) => this.#lose(call, error.details));
    call.on("end", () => this.#lose(call, "the NameServer closed the stream"));
    call.write(wholeTable(table, this.#options.facts));
    this.#watchSilence(call);
  }

  #hear(call: RegisterCall, reply: cometmq.v1.RegisterReply): void {
    const state = this.#state;
    if (state.kind !== "open" || state.call !== call) return;
    this.#watchSilence(call);
    if (reply.fullTableWanted) {
      this.#sendWhole(state);
      return;
    }
    if (reply.status?.code !== code.ok) {
      const reason = reply.status?.message ?? "refused without a reason";
      this.#retryMs = limits.nameServerRetryMaxMs;
      this.#lose(call, reason, "refused");
      return;
    }
    this.#note(reply.replicas, reply.upMs >= limits.nameServerSettlingMs);
    if (state.answered) return;
    this.#state = { ...state, answered: true };
    this.#retryMs = limits.nameServerRetryMinMs;
    this.#cancelHeartbeat = this.#options.clock.every(limits.brokerHeartbeatMs, () => this.#beat());
    this.#tell("registered", "");
  }

  #note(listed: readonly cometmq.v1.Replica[], isSettled: boolean): void {
    const replicas = listed.map((replica) => this.#seen(replica));
    if (isSettled === this.#isSettled && sameReplicas(replicas, this.#replicas)) return;
    this.#replicas = replicas;
    this.#isSettled = isSettled;
    this.#options.changed();
  }

  #seen(replica: cometmq.v1.Replica): ReplicaSeen {
    const { brokerId, address, epoch } = replica;
    const advertised = address === null || address.host === "" ? undefined : address;
    return {
      brokerId,
      duty: readDuty(replica.duty, brokerId),
      epoch,
      grpcAddress: advertised === undefined ? replica.observedAddress : formatAddress(advertised),
      haAddress: replica.haAddress === "" ? replica.observedHaAddress : replica.haAddress,
      nameServers: [this.#options.address],
    };
  }

  #beat(): void {
    if (this.#state.kind !== "open") return;
    const version = versionOf(this.#state.sent, this.#options.facts);
    this.#state.call.write({ heartbeat: { version } });
  }

  #sendDifference(table: Registration): void {
    const state = this.#state;
    if (state.kind !== "open") return;
    if (!state.answered || !sameBroker(state.sent, table)) {
      this.#sendWhole(state);
      return;
    }
    state.call.write(tableChanges(state.sent, table, this.#options.facts));
    this.#state = { ...state, sent: table };
  }

  #sendWhole(state: Extract<LinkState, { kind: "open" }>): void {
    const table = this.#table ?? state.sent;
    state.call.write(wholeTable(table, this.#options.facts));
    this.#state = { ...state, sent: table };
  }

  #watchSilence(call: RegisterCall): void {
    this.#cancelSilence?.();
    this.#cancelSilence = this.#options.clock.after(
      limits.nameServerSilenceMaxMs,
      () => this.#lose(call, `no answer for ${limits.nameServerSilenceMaxMs} ms`),
      { unref: true },
    );
  }

  /** Gives the stream up and dials again after a wait that grows. */
  #lose(call: RegisterCall, reason: string, told: "connecting" | "refused" = "connecting"): void {
    const state = this.#state;
    if (state.kind !== "open" || state.call !== call) return;
    this.#stopTimers();
    call.cancel();
    state.client.close();
    const waitMs = this.#retryMs;
    this.#retryMs = Math.min(waitMs * 2, limits.nameServerRetryMaxMs);
    const cancel = this.#options.clock.after(waitMs, () => this.#dial(), { unref: true });
    this.#state = { kind: "waiting", cancel };
    this.#note([], false);
    this.#tell(told, reason);
  }

  #stopTimers(): void {
    this.#cancelHeartbeat?.();
    this.#cancelSilence?.();
    this.#cancelHeartbeat = undefined;
    this.#cancelSilence = undefined;
  }

  /** Logs and keeps the state when it is another one; a repeated failure is one line, not one each attempt. */
  #tell(state: NameServerStatus["state"], reason: string): void {
    const { address, clock, logger } = this.#options;
    const before = this.#status;
    const first = before.state === "connecting" && before.reason === "not dialled yet";
    if (before.state === state && before.reason === reason) return;
    const sinceMs = before.state === state && !first ? before.sinceMs : clock.now();
    this.#status = { address, state, sinceMs, reason };
    this.#options.changed();
    if (state === "registered") logger.info("registered with NameServer", { address });
    else if (before.state !== state || first) {
      const message =
        state === "refused"
          ? "NameServer refuses this broker; trying again"
          : "not registered with NameServer; trying again";
      logger.warn(message, { address, reason });
    }
  }
}
