// One turn of the election's core: the state under change, what is to be done, and when to look again.
import { MqError } from "../../../base/index.ts";
import type { GroupChange } from "./coordinator.ts";
import type {
  CallKind,
  ChangePurpose,
  ElectionAction,
  ElectionState,
  Reign,
} from "./election-state.ts";
import { type Lease, serveUntilMs } from "./lease-time.ts";

/** Lives for one call of `step`. */
export class Turn {
  state: ElectionState;
  readonly nowMs: number;
  readonly actions: ElectionAction[] = [];
  /** When the next tick is needed, at the latest. */
  wakeAtMs: number = Infinity;

  constructor(state: ElectionState, nowMs: number) {
    this.state = state;
    this.nowMs = nowMs;
  }

  /** The reign, when this broker is master. */
  get reign(): Reign | undefined {
    return this.state.role.kind === "master" ? this.state.role : undefined;
  }

  /** The lease, when it surely holds. */
  get sureLease(): Lease | undefined {
    const { lease } = this.state;
    return lease !== undefined && this.nowMs < serveUntilMs(lease) ? lease : undefined;
  }

  /** Whether this process holds the group, as far as is known. */
  get isHolder(): boolean {
    const { view, lease } = this.state;
    return lease !== undefined && view?.holder?.leaseId === lease.id;
  }

  change(fields: Partial<ElectionState>): void {
    this.state = { ...this.state, ...fields };
  }

  changeReign(fields: Partial<Reign>): void {
    if (this.reign !== undefined) this.change({ role: { ...this.reign, ...fields } });
  }

  act(action: ElectionAction): void {
    this.actions.push(action);
  }

  /** Whether a call of that kind may be made now; else makes sure that there is a turn when it may. */
  mayCall(kind: CallKind): boolean {
    if (this.state.busy[kind]) return false;
    if (this.state.dueMs[kind] <= this.nowMs) return true;
    this.wakeBy(this.state.dueMs[kind]);
    return false;
  }

  begin(kind: CallKind): void {
    this.change({ busy: { ...this.state.busy, [kind]: true } });
  }

  end(kind: CallKind, nextAtMs: number): void {
    this.change({
      busy: { ...this.state.busy, [kind]: false },
      dueMs: { ...this.state.dueMs, [kind]: nextAtMs },
    });
  }

  /** Reads the group as soon as possible. */
  readSoon(): void {
    this.change({ dueMs: { ...this.state.dueMs, read: this.nowMs }, changedSinceRead: true });
  }

  wakeBy(atMs: number): void {
    this.wakeAtMs = Math.min(this.wakeAtMs, atMs);
  }

  commit(purpose: ChangePurpose, change: GroupChange): void {
    this.begin("commit");
    this.act({ kind: "commit", purpose, change });
  }

  log(
    level: "error" | "warn" | "info",
    message: string,
    fields: Readonly<Record<string, string | number>> = {},
  ): void {
    this.act({ kind: "log", level, message, fields });
  }

  /** This broker rules no more. `handedOverTo`: because that one does now. */
  endReign(reason: string, handedOverTo?: number): void {
    const { reign } = this;
    if (reign === undefined) return;
    this.change({ role: { kind: "none" }, followed: undefined });
    this.act({ kind: "stopServing", reason });
    this.log("warn", "this broker is no longer the master", { epoch: reign.epoch, reason });
    if (reign.handOver === undefined) return;
    const isDone = reign.handOver.toId === handedOverTo;
    const failure = isDone ? undefined : new MqError("NOT_MASTER", `not handed over: ${reason}`);
    this.act({ kind: "handOverEnded", failure });
  }
}
