// The stream of one broker: registration, changes and heartbeats in, one reply each out. The broker is gone from
// the tables when this ends, however it ends.
import { Code, cometmq, nameServerService } from "@cometmq/proto";
import { type Logger, MqError, toMqError } from "../base/index.ts";
import type { Asker } from "../route/index.ts";
import type { BidiStream, MethodHandler } from "../transport/index.ts";
import {
  askerOf,
  okStatus,
  readRegistration,
  readTopic,
  readVersion,
  writeReplica,
  wrongTopic,
} from "./messages.ts";
import type { Registry, RegistrySession } from "./registry.ts";
import { listBrokers } from "./route-queries.ts";
import { noVersion, type RouteAnswer } from "./route-table.ts";

/** What the handler needs. */
export interface RegisterDependencies {
  readonly registry: Registry;
  readonly logger: Logger;
}

/** The handler of NameServer.Register. */
export function registerMethod(dependencies: RegisterDependencies): MethodHandler {
  return {
    kind: "bidi",
    ignoreDeadline: true,
    handle: (stream) => serveBroker(dependencies, stream),
  };
}

async function serveBroker(dependencies: RegisterDependencies, stream: BidiStream): Promise<void> {
  const { registry } = dependencies;
  const ending = new AbortController();
  const session = registry.openSession((reason) =>
    ending.abort(new MqError("SHUTTING_DOWN", `registration ended: ${reason}`)),
  );
  try {
    await Promise.race([listen(dependencies, session, stream), aborted(ending.signal)]);
  } finally {
    registry.closeSession(session, stream.signal.aborted ? "connection lost" : "stream closed");
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(toMqError(signal.reason)), { once: true });
  });
}

async function listen(
  dependencies: RegisterDependencies,
  session: RegistrySession,
  stream: BidiStream,
): Promise<void> {
  const { Register } = nameServerService.methods;
  const caller = { brokerName: "" };
  for await (const bytes of stream.messages) {
    const event = Register.request.decode(bytes);
    if (event.unregistration !== null) return;
    if (event.registration !== null) caller.brokerName = event.registration.brokerName;
    const answer = apply(dependencies.registry, { session, stream, event });
    if (answer.kind === "refused") {
      const { remoteAddress } = stream.connection;
      const fields = { broker: caller.brokerName, from: remoteAddress, reason: answer.reason };
      dependencies.logger.warn("broker refused", fields);
    }
    const asker = askerOf(stream);
    const reply = writeReply(dependencies.registry, { ...caller, asker }, answer);
    if (!stream.write(Register.response.encode(reply))) await stream.drained();
    if (answer.kind === "refused") return;
  }
}

interface Heard {
  readonly session: RegistrySession;
  readonly stream: BidiStream;
  readonly event: cometmq.v1.BrokerEvent;
}

function apply(registry: Registry, { session, stream, event }: Heard): RouteAnswer {
  if (event.registration !== null) {
    const broker = readRegistration(event.registration, stream.connection.remoteAddress);
    if (typeof broker === "string") return { kind: "refused", reason: broker };
    return registry.apply({ kind: "register", session: session.id, expires: true, broker });
  }
  if (event.changes !== null) {
    const { upserts, removals } = event.changes;
    const wrong = upserts.map(wrongTopic).find((reason) => reason !== undefined);
    if (wrong !== undefined) return { kind: "refused", reason: wrong };
    return registry.apply({
      kind: "change",
      session: session.id,
      base: readVersion(event.changes.base),
      version: readVersion(event.changes.version),
      upserts: upserts.map(readTopic),
      removals,
    });
  }
  if (event.heartbeat !== null) {
    const version = readVersion(event.heartbeat.version);
    return registry.apply({ kind: "heartbeat", session: session.id, version });
  }
  return { kind: "refused", reason: "the event says nothing that this NameServer knows" };
}

function writeReply(
  registry: Registry,
  caller: { readonly brokerName: string; readonly asker: Asker },
  answer: RouteAnswer,
): cometmq.v1.IRegisterReply {
  if (answer.kind === "refused") {
    return { status: { code: Code.FORBIDDEN, message: answer.reason } };
  }
  const replicas = listBrokers(registry.state, { brokerName: caller.brokerName });
  return {
    status: okStatus,
    version: answer.kind === "none" ? noVersion : answer.version,
    fullTableWanted: answer.kind === "fullTableWanted",
    replicas: replicas.map((replica) => writeReplica(replica, caller.asker)),
    upMs: registry.upMs,
  };
}
