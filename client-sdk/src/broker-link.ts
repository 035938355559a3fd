// One broker as a client sees it: its connection, its telemetry stream, and whether it can be used now.
// A link that failed is probed until the broker answers again; nothing else brings it back. A connection that went
// dead without a sign shows by its silence: a heartbeat then decides. (Pings of HTTP/2 would do the same, but other
// servers than ours cut off clients that ping more often than each five minutes.)
import { messagingService, type rocketmq } from "@cometmq/proto";
import type { Channel, DuplexCall } from "./channel.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import { after } from "./timing.ts";

/** What a link needs from its client. */
export interface LinkOwner {
  readonly requestTimeoutMs: number;
  /** The settings to tell the broker, newest. */
  settings(): rocketmq.v2.ISettings;
  heartbeat(): rocketmq.v2.IHeartbeatRequest;
  /** The broker sent settings. */
  onSettings(link: BrokerLink, settings: rocketmq.v2.ISettings): void;
  /** The broker refused the settings, or does not take any. */
  onRefused(link: BrokerLink, error: Error): void;
  /** The broker asks how a transaction ended. */
  onOrphan(link: BrokerLink, command: rocketmq.v2.IRecoverOrphanedTransactionCommand): void;
  /** Another client of the group has taken a lite topic. */
  onUnsubscribeLite(liteTopic: string): void;
  /** `usable` changed, or a probe failed once more. */
  onChange(link: BrokerLink): void;
}

const reopenDelayMs = 1_000;
const probeDelayMs = 250;

/** When silence is suspicious and how long a heartbeat may take then, as parts of the request timeout, and at least. */
const requestSilenceParts = 4;
const suspectBeatParts = 3;
const suspicionMinMs = 500;
/** Polls are silent by nature: they are asked about less often, after so many thirds of the request timeout. */
const pollSilenceThirds = 2;

const { Telemetry, Heartbeat, NotifyClientTermination } = messagingService.methods;

/** A broker. Open from construction to `close`. */
export class BrokerLink {
  readonly channel: Channel;
  readonly #owner: LinkOwner;
  #stream: DuplexCall | undefined;
  #cancelReopen: (() => void) | undefined;
  #cancelProbe: (() => void) | undefined;
  #usable = true;
  #probing = false;
  #isSuspected = false;
  #refusedAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(channel: Channel, owner: LinkOwner) {
    this.channel = channel;
    this.#owner = owner;
  }

  /** Whether calls are worth trying. True until a failure is reported. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Milliseconds since the broker said that it serves nobody now; Infinity when it has served since. */
  refusedMsAgo(nowMs: number): number {
    return nowMs - this.#refusedAtMs;
  }

  /** The broker said that it serves nobody now, as one that is no master. */
  noteRefusal(): void {
    this.#refusedAtMs = Date.now();
  }

  /** The broker did what it was asked to. */
  noteSuccess(): void {
    this.#refusedAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Opens the telemetry stream and keeps it open. */
  open(): void {
    if (this.#closed) return;
    this.#cancelReopen = undefined;
    this.#stream = this.channel.duplex(Telemetry.path, {
      onMessage: (bytes) => this.#onCommand(bytes),
      onEnd: (error) => this.#onStreamEnd(error),
    });
    this.sendSettings();
  }

  /** Tells the broker the newest settings. */
  sendSettings(): void {
    this.#stream?.write(Telemetry.request.encode({ settings: this.#owner.settings() }));
  }

  #onStreamEnd(error: Error | undefined): void {
    this.#stream = undefined;
    if (this.#closed) return;
    if (error instanceof ClientError && error.code === "UNREACHABLE") this.reportFailure(error);
    else if (error !== undefined) this.#owner.onRefused(this, error);
    this.#cancelReopen = after(reopenDelayMs, () => this.open());
  }

  #onCommand(bytes: Buffer): void {
    let command: rocketmq.v2.ITelemetryCommand;
    try {
      command = Telemetry.response.decode(bytes);
    } catch (error) {
      const place = { address: this.channel.address, cause: error };
      const refused = new ClientError(
        "PROTOCOL",
        "Telemetry: cannot read the server's command",
        place,
      );
      return this.#owner.onRefused(this, refused);
    }
    const settings = command.settings ?? undefined;
    if (settings !== undefined) return this.#owner.onSettings(this, settings);
    const orphan = command.recoverOrphanedTransactionCommand ?? undefined;
    if (orphan !== undefined) return this.#owner.onOrphan(this, orphan);
    const lost = command.notifyUnsubscribeLiteCommand ?? undefined;
    if (lost !== undefined) return this.#owner.onUnsubscribeLite(lost.liteTopic ?? "");
    if ((command.reconnectEndpointsCommand ?? undefined) !== undefined) return this.#reopen();
    const nonce =
      command.printThreadStackTraceCommand?.nonce ??
      command.verifyMessageCommand?.nonce ??
      undefined;
    if (nonce !== undefined) return this.#decline(command);
    if ((command.status ?? undefined) === undefined) return;
    const error = statusError(command.status, "Telemetry", { address: this.channel.address });
    if (error !== undefined) this.#owner.onRefused(this, error);
  }

  /** Answers a command this client does not carry out, so that the operator does not wait. */
  #decline(command: rocketmq.v2.ITelemetryCommand): void {
    const status = { code: 50_100, message: "not offered by @cometmq/client" };
    const trace = command.printThreadStackTraceCommand ?? undefined;
    const answer =
      trace === undefined
        ? { status, verifyMessageResult: { nonce: command.verifyMessageCommand?.nonce ?? "" } }
        : { status, threadStackTrace: { nonce: trace.nonce ?? "" } };
    this.#stream?.write(Telemetry.request.encode(answer));
  }

  #reopen(): void {
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#cancelReopen?.();
    this.open();
  }

  /** A call failed: when the connection or the broker is at fault, the link is not usable until a probe is answered. */
  reportFailure(error: unknown): void {
    if (this.#closed || !isLinkFailure(error)) return;
    this.#usable = false;
    this.#owner.onChange(this);
    if (this.#probing) return;
    this.#probing = true;
    void this.#probe();
  }

  async #probe(): Promise<void> {
    const { requestTimeoutMs } = this.#owner;
    const answered = await this.#beat({ timeoutMs: requestTimeoutMs, waitForReady: true });
    if (this.#closed) return;
    if (answered) {
      this.#probing = false;
      this.#usable = true;
    } else {
      this.#cancelProbe = after(probeDelayMs, () => void this.#probe());
    }
    this.#owner.onChange(this);
  }

  /** Says that this client lives; a broker that does not answer is reported. */
  async heartbeat(): Promise<void> {
    if (this.#probing || this.#isSuspected) return;
    const { requestTimeoutMs } = this.#owner;
    if (await this.#beat({ timeoutMs: requestTimeoutMs, waitForReady: false })) return;
    this.reportFailure(new ClientError("UNREACHABLE", "no answer to a heartbeat"));
  }

  /** Looks for calls that wait while nothing comes back, and asks the broker whether it lives. Called several times a second. */
  checkSilence(nowMs: number): void {
    if (this.#closed || !this.#usable || this.#isSuspected) return;
    const { requestTimeoutMs } = this.#owner;
    const { requestsMs, pollsMs } = this.channel.silence(nowMs);
    const requestsMaxMs = Math.max(suspicionMinMs, requestTimeoutMs / requestSilenceParts);
    const pollsMaxMs = Math.max(2 * suspicionMinMs, (requestTimeoutMs * pollSilenceThirds) / 3);
    if (requestsMs < requestsMaxMs && pollsMs < pollsMaxMs) return;
    this.#isSuspected = true;
    void this.#makeSure();
  }

  async #makeSure(): Promise<void> {
    const timeoutMs = Math.max(suspicionMinMs, this.#owner.requestTimeoutMs / suspectBeatParts);
    const startMs = Date.now();
    const answered = await this.#beat({ timeoutMs, waitForReady: false });
    this.#isSuspected = false;
    // When this process itself was held up, the answer may be there, unread: the next check will tell.
    const wasHeldUp = Date.now() - startMs > 2 * timeoutMs;
    if (answered || this.#closed || wasHeldUp) return;
    this.#giveUp();
    this.reportFailure(new ClientError("UNREACHABLE", "no answer to a heartbeat"));
  }

  /** True when the broker answered, whatever it said. One that is silent has its connection made anew. */
  async #beat(options: {
    readonly timeoutMs: number;
    readonly waitForReady: boolean;
  }): Promise<boolean> {
    const request = Heartbeat.request.encode(this.#owner.heartbeat());
    try {
      await this.channel.unary(Heartbeat.path, request, options);
    } catch (error) {
      if (!isLinkFailure(error)) return true;
      if (error.code === "TIMEOUT" && !this.#isSuspected) this.#giveUp();
      return false;
    }
    return true;
  }

  #giveUp(): void {
    if (this.#closed) return;
    this.channel.abandon();
    this.#reopen();
  }

  /** Tells the broker that this client ends. Failures are of no interest: the client ends anyway. */
  async terminate(request: rocketmq.v2.INotifyClientTerminationRequest): Promise<void> {
    if (!this.#usable) return;
    const bytes = NotifyClientTermination.request.encode(request);
    const timeoutMs = Math.min(1_000, this.#owner.requestTimeoutMs);
    await this.channel
      .unary(NotifyClientTermination.path, bytes, { timeoutMs })
      .catch((error: unknown) => toError(error));
  }

  /** Ends stream, probes and connection; calls under way run to their end. */
  close(): void {
    this.#closed = true;
    this.#cancelReopen?.();
    this.#cancelProbe?.();
    this.#stream?.cancel();
    this.channel.close();
  }
}

function isLinkFailure(error: unknown): error is ClientError {
  return (
    error instanceof ClientError &&
    (error.code === "UNREACHABLE" || error.code === "TIMEOUT" || error.code === "PROTOCOL")
  );
}
