// The headers of every call: who asks, and the signature when there are credentials.
import { createHmac } from "node:crypto";
import { hostname } from "node:os";
import { Metadata } from "@grpc/grpc-js";
import { clientVersion } from "./version.ts";

/** Access key and secret of an application. */
export interface SessionCredentials {
  readonly accessKey: string;
  readonly accessSecret: string;
  readonly securityToken?: string | undefined;
}

let clientCount = 0;

/** A client id in the official format: host, process, number of the client in it, time. */
export function createClientId(): string {
  return `${hostname()}@${process.pid}@${clientCount++}@${Date.now().toString(36)}`;
}

/** `yyyyMMdd'T'HHmmss'Z'` in UTC. */
function dateTimeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

/** The `authorization` header: HMAC-SHA1 with the secret over the text of `x-mq-date-time`, nothing else. */
export function authorizationText(credentials: SessionCredentials, dateTime: string): string {
  const signature = createHmac("sha1", credentials.accessSecret).update(dateTime).digest("hex");
  return `MQv2-HMAC-SHA1 Credential=${credentials.accessKey}, SignedHeaders=x-mq-date-time, Signature=${signature.toUpperCase()}`;
}

/** Gives the headers of calls. They change once a second, so they are built once a second. */
export class RequestMetadata {
  readonly #clientId: string;
  readonly #namespace: string;
  readonly #credentials: SessionCredentials | undefined;
  #second = -1;
  #failFast = new Metadata();
  #waiting = new Metadata();

  constructor(options: {
    readonly clientId: string;
    readonly namespace: string;
    readonly credentials: SessionCredentials | undefined;
  }) {
    this.#clientId = options.clientId;
    this.#namespace = options.namespace;
    this.#credentials = options.credentials;
  }

  /** Headers for a call; with `waitForReady` it waits for a connection until its deadline. Do not change them. */
  current(options: { readonly waitForReady: boolean }): Metadata {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#failFast = this.#build(second, false);
      this.#waiting = this.#build(second, true);
    }
    return options.waitForReady ? this.#waiting : this.#failFast;
  }

  #build(second: number, waitForReady: boolean): Metadata {
    const metadata = new Metadata({ waitForReady });
    const dateTime = dateTimeText(second * 1000);
    metadata.set("x-mq-protocol", "v2");
    metadata.set("x-mq-client-id", this.#clientId);
    metadata.set("x-mq-date-time", dateTime);
    // RocketMQ's servers know no Node.js here and refuse what they do not know; its own client says HTTP too.
    metadata.set("x-mq-language", "HTTP");
    metadata.set("x-mq-client-version", clientVersion);
    if (this.#namespace !== "") metadata.set("x-mq-namespace", this.#namespace);
    if (this.#credentials !== undefined) {
      metadata.set("authorization", authorizationText(this.#credentials, dateTime));
      const token = this.#credentials.securityToken;
      if (token !== undefined) metadata.set("x-mq-session-token", token);
    }
    return metadata;
  }
}
