import type { PublicStock, StaffStock } from "./contracts.ts";
import { available, type Level } from "./stock.ts";

/** A level as everybody may see it. */
export const publicView = (level: Level): PublicStock => ({ sku: level.sku, available: available(level) });

/** A level as staff sees it. */
export const staffView = (level: Level): StaffStock => ({
  sku: level.sku,
  onHand: level.onHand,
  reserved: level.reserved,
  available: available(level),
});
