/**
 * When each line of a file was written, as numbers that can be compared. Read are `1/12/2010`, `12/1/2010 8:26`,
 * `1.12.2010` and `2010-12-01 08:26:00`. Whether the day or the month stands first is what all of a file's dates agree
 * with: the day, when either would do. A line without a date, or without the time of the same day, is as old as the
 * one before it.
 */
export function moments(dates: string[]): number[] {
  const dayFirst = !dates.some((date) => {
    const [, first, second] = (slashed.exec(date) ?? []).map(Number);
    return first && first <= 12 && second && second > 12 && second <= 31;
  });
  let last = Number.NEGATIVE_INFINITY;
  return dates.map((date) => {
    const day = dayOf(date, dayFirst);
    const time = clock.exec(date)?.slice(1).map(Number);
    if (day !== undefined && (time || !(last >= day && last < day + aDay)))
      last = day + (((time?.[0] ?? 0) * 60 + (time?.[1] ?? 0)) * 60 + (time?.[2] || 0)) * 1_000;
    return last;
  });
}

const aDay = 86_400_000;
const slashed = /^(\d{1,2})[/.](\d{1,2})[/.](\d{4}|\d{2})\b/;
const iso = /^(\d{4})-(\d{2})-(\d{2})/;
const clock = /[ T](\d{1,2}):(\d{2})(?::(\d{2}))?/;

/** Its beginning in ms; `undefined` when it is no date. */
function dayOf(date: string, dayFirst: boolean): number | undefined {
  const [year, month, day] = parts(date, dayFirst).map(Number);
  if (!year || !month || !day || month > 12 || day > 31) return undefined;
  return Date.UTC(year < 100 ? 2000 + year : year, month - 1, day);
}

function parts(date: string, dayFirst: boolean): (string | undefined)[] {
  const [, first, second, year] = slashed.exec(date) ?? [];
  if (year) return dayFirst ? [year, second, first] : [year, first, second];
  return iso.exec(date)?.slice(1) ?? [];
}
