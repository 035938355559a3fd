// What a broker is in its group at a moment, and where its master is.

/** A broker of the same brokerName, as this one knows it. */
export interface ReplicaPlace {
  readonly brokerId: number;
  /** `host:port` for clients and operators; empty when not known. */
  readonly grpcAddress: string;
  /** `host:port` for replication; empty when not known. */
  readonly haAddress: string;
}

/** What a broker is now. */
export type Standing =
  /** Takes and gives messages. */
  | { readonly kind: "master"; readonly epoch: number }
  /** A slave that gives messages while its master is gone (fixed roles). */
  | { readonly kind: "acting"; readonly epoch: number }
  /** Copies its master, when it knows one. */
  | { readonly kind: "slave"; readonly epoch: number; readonly master: ReplicaPlace | undefined }
  /** Neither: starting, changing roles, without a lease, or closing. */
  | { readonly kind: "none"; readonly epoch: number; readonly reason: string };
