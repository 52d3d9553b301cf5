import { Admission, overloaded, type Rank, type Turn } from "./admission.ts";
import { Lag } from "./lag.ts";
import type { Way } from "./ways.ts";

/** Requests whose body goes on as it comes hold memory for as long as their client likes. */
const mostStreamed = 16;
/** Less than a sidecar lets through at once, and a part of our own connections: who follows keeps nobody else out. */
const followers = { most: 1_024, share: 1 / 4 };

/** What a request needs of a service. */
export interface Asking {
  way: Way;
  method: string;
  /** Its body is sent on as it comes. */
  streams: boolean;
  gone?(): boolean;
}

/** A number of places. */
class Places {
  taken = 0;
  constructor(readonly most: number) {}

  take(service: string): Turn {
    if (this.taken >= this.most) throw overloaded(service);
    this.taken++;
    return {
      over: () => {
        this.taken--;
      },
    };
  }
}

interface Lane {
  ordinary: Admission;
  streamed: Places;
  followers: Places;
  refused: number;
}

/**
 * The way into each service, with as many side by side as it can take: a service that is slow, or hangs, holds up
 * neither the others nor the gateway, and what waits for it is bounded.
 */
export class Lanes {
  readonly #objective: number;
  readonly #followers: number;
  readonly lag = new Lag();
  readonly #lanes = new Map<string, Lane>();

  /**
   * @param objective milliseconds in which a service should answer
   * @param connections how many this process can have open at once
   */
  constructor(objective: number, connections: number) {
    this.#objective = objective;
    this.#followers = Math.min(followers.most, Math.floor(connections * followers.share));
  }

  /** @throws {Problem} 503 `overloaded` */
  async enter({ way, method, streams, gone }: Asking): Promise<Turn> {
    const lane = this.#lane(way.service);
    try {
      if (way.follows) return lane.followers.take(way.service);
      if (streams) return lane.streamed.take(way.service);
      const rank: Rank = way.begins?.some((one) => one === method) ? "beginning" : "finishing";
      return await lane.ordinary.enter(rank, gone);
    } catch (error) {
      lane.refused++;
      throw error;
    }
  }

  /** A figure of each service that was asked for something. */
  figures(read: (lane: Lane) => number): Record<string, number> {
    return Object.fromEntries([...this.#lanes].map(([service, lane]) => [service, read(lane)]));
  }

  #lane(service: string): Lane {
    let lane = this.#lanes.get(service);
    if (lane === undefined) {
      lane = {
        ordinary: new Admission(service, this.#objective),
        streamed: new Places(mostStreamed),
        followers: new Places(this.#followers),
        refused: 0,
      };
      this.#lanes.set(service, lane);
    }
    return lane;
  }
}
