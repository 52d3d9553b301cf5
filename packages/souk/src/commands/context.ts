/** What every command needs. */
import { type Home, homeOf } from "../home.ts";
import { findRoot } from "../project.ts";

export interface Context {
  /** The checkout. */
  root: string;
}

/** The checkout that this command line belongs to. */
export function context(): Context {
  return { root: findRoot(import.meta.dir) };
}

export function homeFor({ root }: Context, dir?: string): Home {
  return homeOf(root, dir ?? process.env.SOUK_HOME);
}
