/** For tests: called at each point where a crash is to be tried. Nothing outside this package can reach it. */
export const faults: { at?: (point: string) => void } = {};

export function fault(point: string): void {
  faults.at?.(point);
}
