// Which messages the broker keeps for consumers that are alive, and when they come again: the consumer is gone, has said
// goodbye, or has had them for as long as is allowed; after a restart a while later.
import { limits } from "../../base/index.ts";
import type { Sent } from "./sent.ts";

/** Stands for the clients of an earlier process: nobody is kept anything, and each new process gives them a while. */
const formerClient = "a former client";
/** How often the broker looks who is gone, milliseconds. */
const sweepMs = 1_000;

/** What the broker knows of a client. */
interface Life {
  seenAtMs: number;
  /** When its connection was closed; undefined while it has one. */
  disconnectedAtMs: number | undefined;
}

/** All that is renewed. */
export class Renewals {
  readonly #sent: ReadonlyMap<string, Sent>;
  readonly #renewMaxMs: number;
  readonly #lives = new Map<string, Life>();

  constructor(sent: ReadonlyMap<string, Sent>, renewMaxMs: number) {
    this.#sent = sent;
    this.#renewMaxMs = renewMaxMs;
  }

  /** A client got a message that is kept for it. */
  keep(sent: Sent, client: string, nowMs: number): void {
    sent.renewedFor = client;
    sent.hiddenUntilMs = nowMs + this.#renewMaxMs;
    // It was renewed right before that.
    sent.shownByMs = sent.hiddenUntilMs + limits.invisibleRenewedMs;
  }

  /** A client says something. */
  seen(client: string, nowMs: number): void {
    this.look(nowMs);
    const life = this.#lives.get(client);
    // It comes back in the second in which the broker looks.
    if (life !== undefined && goneFromMs(life) < nowMs) this.#forgetTimesOf(client);
    this.#lives.set(client, { seenAtMs: nowMs, disconnectedAtMs: undefined });
  }

  /** A client has lost its connection. */
  disconnected(client: string, nowMs: number): void {
    const life = this.#lives.get(client);
    if (life !== undefined) life.disconnectedAtMs ??= nowMs;
  }

  /** A client has said goodbye: what was kept for it was no delivery. */
  left(client: string, nowMs: number): void {
    this.look(nowMs);
    this.#lives.delete(client);
    for (const sent of this.#of(client)) {
      // That delivery may be over already, and then it counts.
      if (sent.hiddenUntilMs <= nowMs) sent.isVague = true;
      else sent.attempt = Math.max(0, sent.attempt - 1);
      endRenewal(sent, { fromMs: nowMs, byMs: nowMs });
    }
  }

  /** Lets those be gone whose time is over. */
  look(nowMs: number): void {
    for (const [client, life] of this.#lives) {
      const fromMs = goneFromMs(life);
      const byMs = fromMs + sweepMs;
      if (fromMs >= nowMs) continue;
      const isGone = byMs < nowMs;
      if (isGone) this.#lives.delete(client);
      for (const sent of this.#of(client)) {
        const isOver = isGone && fromMs < sent.shownByMs;
        if (isOver) endRenewal(sent, { fromMs, byMs: Math.min(byMs, sent.shownByMs) });
        else sent.hiddenUntilMs = Math.min(sent.hiddenUntilMs, fromMs);
        if (isGone) sent.renewedFor = "";
      }
    }
  }

  /** The broker's process is gone. */
  ended(nowMs: number): void {
    this.look(nowMs);
    for (const [client, life] of this.#lives) {
      if (goneFromMs(life) < nowMs) this.#forgetTimesOf(client);
    }
    this.#lives.clear();
  }

  /** A new process has begun between these times: nobody is there yet, and nothing is taken from anybody at once. */
  began(fromMs: number, byMs: number): void {
    for (const sent of this.#sent.values()) {
      if (sent.renewedFor === "") continue;
      sent.renewedFor = formerClient;
      // Its last delivery may be over already.
      if (sent.hiddenUntilMs > fromMs) sent.hiddenUntilMs = fromMs + limits.renewGraceMs;
      sent.shownByMs = byMs + limits.renewGraceMs;
    }
  }

  #forgetTimesOf(client: string): void {
    for (const sent of this.#of(client)) sent.isVague = true;
  }

  *#of(client: string): Iterable<Sent> {
    for (const sent of this.#sent.values()) if (sent.renewedFor === client) yield sent;
  }
}

/** Whether a message is kept for a client that the broker knows. */
export function isKept({ renewedFor }: Sent): boolean {
  return renewedFor !== "" && renewedFor !== formerClient;
}

/** A client is gone a moment after that. */
function goneFromMs({ seenAtMs, disconnectedAtMs }: Life): number {
  const silentMs = seenAtMs + limits.clientSilenceMaxMs;
  if (disconnectedAtMs === undefined) return silentMs;
  return Math.min(silentMs, disconnectedAtMs + limits.clientReconnectGraceMs);
}

function endRenewal(
  sent: Sent,
  { fromMs, byMs }: { readonly fromMs: number; readonly byMs: number },
): void {
  sent.renewedFor = "";
  sent.hiddenUntilMs = Math.min(sent.hiddenUntilMs, fromMs);
  sent.shownByMs = byMs;
  sent.changedAtMs = Math.max(sent.changedAtMs, byMs);
}
