// One broker as a client sees it: its connection, its telemetry stream, and whether it can be used now.
// A link that failed is probed until the broker answers again; nothing else brings it back.
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
  /** `usable` changed, or a probe failed once more. */
  onChange(link: BrokerLink): void;
}

const reopenDelayMs = 1_000;
const probeDelayMs = 250;
/** Silent heartbeats in a row after which the connection is taken for dead and made anew. */
const silentBeatsMax = 2;

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
  #silentBeats = 0;
  #closed = false;

  constructor(channel: Channel, owner: LinkOwner) {
    this.channel = channel;
    this.#owner = owner;
  }

  /** Whether calls are worth trying. True until a failure is reported. */
  get usable(): boolean {
    return this.#usable;
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
    const answered = await this.#beat(true);
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
    if (!this.#probing && !(await this.#beat(false))) {
      this.reportFailure(new ClientError("UNREACHABLE", "no answer to a heartbeat"));
    }
  }

  /** True when the broker answered, whatever it said. */
  async #beat(waitForReady: boolean): Promise<boolean> {
    const request = Heartbeat.request.encode(this.#owner.heartbeat());
    const timeoutMs = this.#owner.requestTimeoutMs;
    try {
      await this.channel.unary(Heartbeat.path, request, { timeoutMs, waitForReady });
    } catch (error) {
      if (isLinkFailure(error)) {
        this.#countSilence(error);
        return false;
      }
    }
    this.#silentBeats = 0;
    return true;
  }

  /** A connection that takes requests and brings no answers may be dead without a sign: make a new one. */
  #countSilence(error: ClientError): void {
    this.#silentBeats = error.code === "TIMEOUT" ? this.#silentBeats + 1 : 0;
    if (this.#silentBeats < silentBeatsMax || this.#closed) return;
    this.#silentBeats = 0;
    this.channel.reconnect();
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

  /** Ends stream, probes and connection. */
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
