// The replication port of a broker: answers who it is, feeds slaves, gives a log back to a returning master, and hands
// an overlay over. Decides nothing about roles: its host does.
import { background, type CancelTimer, type Clock, type Logger, limits } from "../../base/index.ts";
import { Channel } from "./channel.ts";
import type { Hello, Identity, Proof, Welcome } from "./control-messages.ts";
import type { AckFrame } from "./frames.ts";
import { extentOf, proofOf, type ReplicatedStore } from "./log-source.ts";
import type { Link, LinkListener, Network } from "./network.ts";
import { sendParts } from "./part-stream.ts";
import { SlaveFeed } from "./slave-feed.ts";
import { packParts, type StateEntry } from "./snapshot-parts.ts";

/** The state of a master at one moment, for a slave that cannot get it from the log. */
export interface StateExport {
  /** The state reflects the log up to here. */
  readonly asOf: number;
  readonly entries: AsyncIterable<readonly StateEntry[]>;
}

/** A slave that is connected, as its master knows it. */
export interface ConnectedSlave {
  readonly identity: Identity;
  /** `host:port` for clients and for replication, as it is reached from here. */
  readonly grpcAddress: string;
  readonly haAddress: string;
  readonly sinceMs: number;
  /** What it has said last; undefined before the first word. */
  readonly ack: AckFrame | undefined;
  readonly sentBytes: number;
}

/** Who decides, and whose log it is. */
export interface ServerHost {
  identity(): Identity;
  /** What this broker is for others now; `epoch` is its reign as master. */
  standing(): { readonly kind: Welcome["standing"]; readonly epoch: number };
  /** The log, when it is open. */
  store(): ReplicatedStore | undefined;
  /** Whether slaves may cut what this log does not have. */
  mayCut(): boolean;
  exportState(): Promise<StateExport>;
  hasOverlay(): boolean;
  /** Stops acting and gives what was noted; what follows is decided by whether it is taken. */
  handOverlay(): Promise<Iterable<Uint8Array>>;
  overlayTaken(): Promise<void>;
  /** Keeps a part of the overlay of another slave, which acts. Throws CORRUPT. */
  keepNotes(body: Buffer): void;
  /** A slave follows from now on. */
  slaveJoined(brokerId: number): void;
  slaveAcked(brokerId: number, ack: AckFrame): void;
  slaveLeft(brokerId: number, reason: string): void;
}

interface Fed {
  readonly hello: Hello;
  readonly channel: Channel;
  readonly feed: SlaveFeed;
  readonly sinceMs: number;
  ack: AckFrame | undefined;
}

/** What the server stands on. */
export interface ReplicationServerOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: ServerHost;
}

/** The open replication port. */
export class ReplicationServer {
  readonly #options: ReplicationServerOptions;
  readonly #channels = new Set<Channel>();
  readonly #slaves = new Map<number, Fed>();
  #listener: LinkListener | undefined;
  #isClosed = false;

  constructor(options: ReplicationServerOptions) {
    this.#options = options;
  }

  /** Listens. Throws BAD_CONFIG when the port is taken. */
  async listen(place: { readonly host: string; readonly port: number }): Promise<void> {
    this.#listener = await this.#options.network.listen(place, (link) => this.#accept(link));
  }

  /** The port that was bound. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Slaves that follow now. */
  slaves(): readonly ConnectedSlave[] {
    return [...this.#slaves.values()].map(({ hello, channel, feed, sinceMs, ack }) => {
      const host = hello.host === "" ? channel.link.peerHost : hello.host;
      return {
        identity: hello,
        grpcAddress: addressOf(host, hello.grpcPort),
        haAddress: addressOf(host, hello.haPort),
        sinceMs,
        ack,
        sentBytes: feed.sentBytes,
      };
    });
  }

  /** Ends all links: the log or the role is going to change. */
  endLinks(reason: string): void {
    for (const channel of this.#channels) channel.close(reason);
  }

  /** Takes no more links and ends those that are open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#listener?.close();
    this.endLinks("the broker is stopping");
  }

  #accept(link: Link): void {
    const { clock, logger } = this.#options;
    const channel = new Channel(link, clock);
    if (this.#isClosed || this.#channels.size >= limits.haLinksMax) {
      return channel.refuse("tooMany", `${this.#channels.size} links are open already`);
    }
    this.#channels.add(channel);
    channel.onEnd(() => this.#channels.delete(channel));
    const cancel = clock.after(
      limits.haHandshakeMs,
      () => channel.close(`nothing useful came within ${limits.haHandshakeMs} ms`),
      { unref: true },
    );
    background(
      this.#serve(channel, cancel).catch((error: unknown) => {
        if (!(error instanceof Error) || !("code" in error)) throw error;
        if (channel.endReason !== undefined) return;
        logger.warn("a replication link is refused", { peer: link.peer, reason: error.message });
        channel.refuse("failed", error.message);
      }),
    );
  }

  async #serve(channel: Channel, settled: CancelTimer): Promise<void> {
    const { host, logger } = this.#options;
    const hello = await channel.expect("hello");
    const own = host.identity();
    if (hello.cluster !== own.cluster || hello.brokerName !== own.brokerName) {
      const message = `this is ${own.brokerName} of the cluster ${own.cluster}, not ${hello.brokerName} of ${hello.cluster}`;
      logger.warn("a broker of another group asks for the log", {
        peer: channel.link.peer,
        broker: hello.brokerName,
        cluster: hello.cluster,
      });
      return channel.refuse("wrongCluster", message);
    }
    const store = host.store();
    if (store === undefined) return channel.refuse("notMaster", "the log is not open now");
    channel.say(this.#welcome(store));
    if (hello.purpose === "inspect") {
      const { message } = await channel.nextControl();
      if (message.kind !== "proof") return settled();
      const position = await this.#check(channel, store, message);
      if (position !== undefined) channel.say({ kind: "begin", position, epoch: store.epoch });
      return settled();
    }
    if (hello.purpose === "keep") {
      settled();
      return channel.listen((frame) => {
        if (frame.kind !== "part") return;
        host.keepNotes(frame.bytes);
        // Says that this side lives.
        channel.send({ kind: "part", bytes: emptyPart });
      });
    }
    if (hello.purpose === "overlay") {
      await this.#giveOverlay(channel);
      return settled();
    }
    await this.#feed(channel, hello, store);
    return settled();
  }

  #welcome(store: ReplicatedStore): Welcome {
    const { host } = this.#options;
    const { kind, epoch } = host.standing();
    return {
      kind: "welcome",
      ...host.identity(),
      ...extentOf(store),
      standing: kind,
      epoch: Math.max(epoch, store.epoch),
      confirmed: store.confirmed,
      hasOverlay: host.hasOverlay(),
      mayCut: host.mayCut(),
    };
  }

  async #feed(channel: Channel, hello: Hello, store: ReplicatedStore): Promise<void> {
    const { host } = this.#options;
    const own = host.identity();
    const standing = host.standing();
    if (hello.purpose === "follow" && standing.kind !== "master") {
      return channel.refuse(
        "notMaster",
        `${own.brokerName} with id ${own.brokerId} is no master now`,
      );
    }
    const isCopy = hello.purpose === "copy";
    if (hello.brokerId === own.brokerId && hello.instanceId !== own.instanceId && !isCopy) {
      return channel.refuse("duplicateId", `the id ${own.brokerId} is this broker's`);
    }
    const known = this.#slaves.get(hello.brokerId);
    if (known !== undefined && known.hello.instanceId !== hello.instanceId) {
      return channel.refuse(
        "duplicateId",
        `the id ${hello.brokerId} belongs to a live slave at ${known.channel.link.peer}`,
      );
    }
    known?.channel.close("the slave has made a new link");
    const frame = await channel.next();
    if (frame.kind === "control" && frame.message.kind === "snapshotRequest") {
      return await this.#giveSnapshot(channel, store);
    }
    if (frame.kind !== "control" || frame.message.kind !== "proof") {
      return channel.refuse("failed", "neither a proof nor the wish for a snapshot came");
    }
    const from = await this.#check(channel, store, frame.message);
    if (from === undefined || channel.endReason !== undefined) return;
    const epoch = Math.max(standing.epoch, store.epoch);
    channel.say({ kind: "begin", position: from, epoch });
    const feed = new SlaveFeed({ channel, store, clock: this.#options.clock, epoch, from });
    if (!isCopy) this.#join({ channel, hello, feed, epoch });
  }

  /** Where the slave goes on; undefined when it was refused. */
  async #check(
    channel: Channel,
    store: ReplicatedStore,
    proof: Proof,
  ): Promise<number | undefined> {
    const { position, from } = proof;
    if (position < store.start || from < store.start) {
      channel.refuse("gone", `the log starts at ${store.start} now`);
      return undefined;
    }
    if (position > store.written || from > position) {
      channel.refuse(
        "diverged",
        `position ${position} is beyond the end of this log, ${store.written}`,
      );
      return undefined;
    }
    const own = await proofOf(store, from, position);
    if (own.hash === proof.hash) return position;
    channel.refuse(
      "diverged",
      `the bytes before position ${position} are not the same, although the epochs are`,
    );
    return undefined;
  }

  #join(slave: {
    readonly channel: Channel;
    readonly hello: Hello;
    readonly feed: SlaveFeed;
    readonly epoch: number;
  }): void {
    const { host, clock, logger } = this.#options;
    const { channel, hello, feed, epoch } = slave;
    const { brokerId } = hello;
    const fed: Fed = { hello, channel, feed, sinceMs: clock.now(), ack: undefined };
    this.#slaves.set(brokerId, fed);
    logger.info("a slave follows", { id: brokerId, peer: channel.link.peer, from: feed.next });
    host.slaveJoined(brokerId);
    channel.onEnd((reason) => {
      if (this.#slaves.get(brokerId) === fed) this.#slaves.delete(brokerId);
      logger.warn("a slave is gone", { id: brokerId, peer: channel.link.peer, reason });
      host.slaveLeft(brokerId, reason);
    });
    channel.listen((frame) => {
      // A slave of another reign says nothing about this one.
      if (frame.kind !== "ack" || frame.epoch !== epoch) return;
      fed.ack = frame;
      host.slaveAcked(brokerId, frame);
    });
  }

  async #giveSnapshot(channel: Channel, store: ReplicatedStore): Promise<void> {
    const { host, logger } = this.#options;
    const { asOf, entries } = await host.exportState();
    logger.info("a slave takes a snapshot of the state", { peer: channel.link.peer, asOf });
    channel.say({ kind: "snapshotBegin", epoch: store.epoch, asOf, logStart: store.start });
    await sendParts(channel, packAll(entries));
  }

  async #giveOverlay(channel: Channel): Promise<void> {
    const { host } = this.#options;
    await sendParts(channel, buffersOf(await host.handOverlay()));
    await channel.expect("overlayTaken");
    await host.overlayTaken();
    channel.say({ kind: "overlayTaken" });
  }
}

const emptyPart = Buffer.alloc(0);

async function* packAll(entries: StateExport["entries"]): AsyncGenerator<Buffer> {
  for await (const some of entries) yield* packParts(some);
}

function* buffersOf(bodies: Iterable<Uint8Array>): Generator<Buffer> {
  for (const body of bodies) yield Buffer.from(body);
}

/** `host:port`, an IPv6 host in brackets. */
export function addressOf(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
