// Copies of an acting master's overlay at the other slaves that are alive, so that the next one to act goes on where it
// was. Best effort: no consumer waits for them.
import { background, type CancelTimer, limits, MqError, parseAddress } from "../base/index.ts";
import { Channel, type ReplicaPlace } from "./ha/index.ts";
import { encodeProgress, type ProgressChange } from "./metadata/index.ts";
import type { Replica } from "./replica.ts";

/** Keeps the copies from construction to `close`. */
export class OverlayCopies {
  readonly #replica: Replica;
  readonly #others: () => readonly ReplicaPlace[];
  readonly #channels = new Map<string, Channel>();
  readonly #dialling = new Set<string>();
  readonly #closing = new AbortController();
  readonly #cancelDialling: CancelTimer;

  /** `others`: the other slaves that are alive, as of now. */
  constructor(replica: Replica, others: () => readonly ReplicaPlace[]) {
    this.#replica = replica;
    this.#others = others;
    replica.overlay.onNoted = (changes) => this.#send(changes);
    this.#cancelDialling = replica.options.clock.every(limits.haRetryMaxMs, () => this.#dialAll());
    this.#dialAll();
  }

  /** Ends the links; what was copied stays where it is. */
  close(): void {
    this.#cancelDialling();
    this.#replica.overlay.onNoted = undefined;
    this.#closing.abort();
    for (const channel of this.#channels.values()) channel.close("this broker acts no more");
  }

  #send(changes: readonly ProgressChange[]): void {
    const bytes = Buffer.from(encodeProgress(changes));
    for (const channel of this.#channels.values()) {
      if (channel.link.waitingBytes > limits.haSendBufferSize) channel.close("it takes too little");
      else channel.send({ kind: "part", bytes });
    }
  }

  #dialAll(): void {
    for (const { haAddress } of this.#others()) {
      if (haAddress === "" || this.#channels.has(haAddress) || this.#dialling.has(haAddress)) {
        continue;
      }
      this.#dialling.add(haAddress);
      background(this.#dial(haAddress).finally(() => this.#dialling.delete(haAddress)));
    }
  }

  async #dial(haAddress: string): Promise<void> {
    const replica = this.#replica;
    const { network, clock } = replica.options;
    const address = parseAddress(haAddress);
    if (address === undefined) return;
    try {
      const channel = new Channel(await network.connect(address, this.#closing.signal), clock);
      channel.say(replica.hello("keep"));
      await channel.expect("welcome");
      // From here on in one turn: everything so far, and then what comes.
      for (const body of replica.overlay.bodies()) {
        channel.send({ kind: "part", bytes: Buffer.from(body) });
      }
      channel.listen(() => {});
      this.#channels.set(haAddress, channel);
      const cancelBeat = clock.every(limits.haHeartbeatMs, () => channel.send(nothing));
      channel.onEnd(() => {
        cancelBeat();
        this.#channels.delete(haAddress);
      });
    } catch (error) {
      if (!(error instanceof MqError)) throw error;
    }
  }
}

/** Says that the link is alive. */
const nothing = { kind: "part", bytes: Buffer.from(encodeProgress([])) } as const;
