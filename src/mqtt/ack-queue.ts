// Acks leave in the order in which the messages came [MQTT-4.6.0-2], and only on the connection the message came on: on another one
// its packet id may by now stand for another message. It knows packet ids and nothing else.

export interface AckTicket {
  readonly packetId: number;
  readonly epoch: number;
  settled: boolean;
}

const COMPACT_AFTER = 1024;

export class AckQueue {
  readonly #acknowledge: (packetId: number) => void;
  #tickets: AckTicket[] = [];
  #head = 0;
  #epoch = 0;

  constructor(acknowledge: (packetId: number) => void) {
    this.#acknowledge = acknowledge;
  }

  /** How many acks are owed on this connection. */
  get owed(): number {
    return this.#tickets.length - this.#head;
  }

  /** Call in the order of arrival. */
  arrive(packetId: number): AckTicket {
    const ticket = { packetId, epoch: this.#epoch, settled: false };
    this.#tickets.push(ticket);
    return ticket;
  }

  /** Acks all that is due now: this message and settled ones behind it, once all before it are settled. False: the connection is gone. */
  settle(ticket: AckTicket): boolean {
    if (ticket.epoch !== this.#epoch) return false;
    ticket.settled = true;
    for (let first = this.#tickets[this.#head]; first?.settled === true; first = this.#tickets[this.#head]) {
      this.#head++;
      this.#acknowledge(first.packetId);
    }
    if (this.#head === this.#tickets.length || this.#head > COMPACT_AFTER) {
      this.#tickets.splice(0, this.#head);
      this.#head = 0;
    }
    return true;
  }

  /** The connection is gone: nothing that came on it may be acked any more. The broker sends it again. */
  cut(): void {
    this.#epoch++;
    this.#tickets = [];
    this.#head = 0;
  }
}
