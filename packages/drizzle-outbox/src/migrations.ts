/**
 * The rule that lets an old and a new version of a service run on one database: expand, migrate, contract. A migration
 * only adds what the version before can do without knowing. What takes away is a contraction: a migration of its own,
 * named `….contract.sql`, written when nothing that needs what it takes away runs any more.
 */

/** How the name of a migration ends after which the versions that do not know it cannot work. */
export const contraction = ".contract.sql";

export const isContraction = (name: string): boolean => name.endsWith(contraction);

/** The statements of a migration's file. */
export const statementsOf = (text: string): string[] =>
  text.split("--> statement-breakpoint").filter((part) => part.trim() !== "");

const name = String.raw`["\`]?([\w$]+)["\`]?`;
const table = new RegExp(`^create table (?:if not exists )?${name}`, "i");
const unique = new RegExp(`^create unique index .*? on ${name}`, "i");
const altered = new RegExp(`^alter table (?:if exists )?(?:only )?${name} (.*)$`, "i");

/**
 * What in a migration the version before would trip over, in words; nothing for one that only adds. Tables that the
 * migration itself makes are not looked at.
 */
export function takesAway(text: string): string[] {
  const made = new Set<string>();
  const found: string[] = [];
  const statements = statementsOf(text).flatMap((part) => withoutComments(part).split(";"));
  for (const statement of statements.map((each) => each.replace(/\s+/g, " ").trim())) {
    const create = table.exec(statement)?.[1];
    if (create) made.add(create);
    const indexed = unique.exec(statement)?.[1];
    if (indexed && !made.has(indexed))
      found.push(`${indexed}: a unique index refuses rows that were welcome`);
    if (/^drop (table|view|schema)\b/i.test(statement)) found.push(`${statement}: what reads it fails`);
    const [, of = "", change = ""] = altered.exec(statement) ?? [];
    if (of && !made.has(of)) found.push(...alteration(of, change));
  }
  return found;
}

function alteration(of: string, change: string): string[] {
  if (/^rename /i.test(change)) return [`${of}: ${change}: the old name is gone`];
  if (/^drop constraint /i.test(change)) return [];
  if (/^drop /i.test(change)) return [`${of}: ${change}: what reads it fails`];
  if (
    /^add (column )?(if not exists )?/i.test(change) &&
    !/^add (constraint|check|unique|foreign|primary)\b/i.test(change)
  )
    return /\bnot null\b/i.test(change) && !/\b(default|generated)\b/i.test(change)
      ? [
          `${of}: ${change}: an insert that does not know the column fails (give it a default, or let it be null)`,
        ]
      : [];
  if (/^add /i.test(change)) return [`${of}: ${change}: it refuses rows that were welcome`];
  if (/^alter (column )?/i.test(change)) {
    if (/ set not null$/i.test(change)) return [`${of}: ${change}: it refuses rows that were welcome`];
    if (/ drop default$/i.test(change)) return [`${of}: ${change}: an insert that relies on it fails`];
    // Another order of the same text is no other type.
    if (/ type /i.test(change) && !/ type text collate "[^"]+"$/i.test(change))
      return [`${of}: ${change}: values come back as something else`];
  }
  return [];
}

const withoutComments = (sql: string): string =>
  sql.replace(/--[^\n]*/g, "").replace(/\/\*[\s\S]*?\*\//g, "");
