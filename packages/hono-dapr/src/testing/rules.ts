import type { CloudEvent } from "../event.ts";

/** Which calls of an app to its sidecar go wrong. What is not said matches all. */
export interface FaultOptions {
  api?: Api;
  /** Of this app only. */
  app?: string;
  /** How often. Default: until `restore` is called. */
  times?: number;
  /**
   * - `unreachable`: as if the sidecar were down; nothing is done. The default.
   * - `lost-answer`: it is done, but the connection breaks before the answer.
   * - `{ status, errorCode }`: nothing is done, and that is answered.
   * - `{ events }`: of a bulk publish, those events are refused.
   */
  as?:
    | "unreachable"
    | "lost-answer"
    | { status: number; errorCode?: string }
    | { events: (event: CloudEvent) => boolean };
}

export type Api =
  | "publish"
  | "state"
  | "secrets"
  | "invoke"
  | "bindings"
  | "configuration"
  | "jobs"
  | "healthz"
  | "metadata"
  | "shutdown";

/** Calls to an app, of any other app and of any kind unless said otherwise. `path` means it and all below it. */
export interface Calls {
  call: string;
  from?: string;
  method?: string;
  path?: string;
}

/** What is forbidden: calls to an app, publishing to a topic, or reading a secret. */
export type Denial = Calls | { topic: string; from?: string } | { secret: string; from?: string };

/** What goes wrong and what is forbidden, as the test says. */
export class Rules {
  readonly #faults: FaultOptions[] = [];
  readonly #denials: Denial[] = [];
  readonly #allowed: Calls[] = [];

  fault = (fault: FaultOptions = {}) => restorable(this.#faults, { ...fault });
  deny = (denial: Denial) => restorable(this.#denials, denial);
  allow = (calls: Calls) => restorable(this.#allowed, calls);

  /** The fault that hits this call, if any; it is used up by that. */
  takeFault(app: string, api: string): FaultOptions | undefined {
    const faults = this.#faults;
    const fault = faults.find((one) => (one.app ?? app) === app && (one.api ?? api) === api);
    if (fault?.times !== undefined && --fault.times <= 0) faults.splice(faults.indexOf(fault), 1);
    return fault;
  }

  mayPublish(from: string, topic: string): boolean {
    return !this.#denials.some(
      (each) => "topic" in each && each.topic === topic && (each.from ?? from) === from,
    );
  }

  mayRead(from: string, secret: string): boolean {
    return !this.#denials.some(
      (each) => "secret" in each && each.secret === secret && (each.from ?? from) === from,
    );
  }

  mayCall(from: string, to: string, method: string, path: string): boolean {
    const matches = (calls: Denial) =>
      "call" in calls &&
      calls.call === to &&
      (calls.from ?? from) === from &&
      (calls.method ?? method) === method &&
      isBelow(path, calls.path ?? "/");
    const closed = this.#allowed.some(({ call }) => call === to) && !this.#allowed.some(matches);
    return !closed && !this.#denials.some(matches);
  }
}

const isBelow = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);

function restorable<T>(list: T[], item: T): { restore(): void } {
  list.push(item);
  return {
    restore() {
      const index = list.indexOf(item);
      if (index >= 0) list.splice(index, 1);
    },
  };
}
