// What a message listener says about a message.

/** SUCCESS acknowledges the message, FAILURE lets it come again after the group's back-off. */
export class ConsumeResult {
  static readonly SUCCESS: ConsumeResult = new ConsumeResult("SUCCESS");
  static readonly FAILURE: ConsumeResult = new ConsumeResult("FAILURE");

  readonly name: string;

  protected constructor(name: string) {
    this.name = name;
  }

  toString(): string {
    return this.name;
  }
}

const suspendMinMs = 50;

/** Lets the message come again after a time of the listener's choice. */
export class ConsumeResultSuspend extends ConsumeResult {
  /** Milliseconds, at least 50. */
  readonly suspendTimeMs: number;

  private constructor(suspendTimeMs: number) {
    super("SUSPEND");
    if (!Number.isInteger(suspendTimeMs) || suspendTimeMs < suspendMinMs) {
      throw new RangeError(
        `the suspend time must be whole milliseconds of at least ${suspendMinMs}, got ${suspendTimeMs}`,
      );
    }
    this.suspendTimeMs = suspendTimeMs;
  }

  /** Throws RangeError below 50 ms or for fractions. */
  static of(suspendTimeMs: number): ConsumeResultSuspend {
    return new ConsumeResultSuspend(suspendTimeMs);
  }

  override toString(): string {
    return `SUSPEND(${this.suspendTimeMs}ms)`;
  }
}
