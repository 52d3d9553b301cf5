/** What an answer in the edge cache is about. A change names its tags, and every answer that has one is forgotten. */
export type Tag = string;

/** Every answer of the catalog. */
export const ofCatalog: Tag = "catalog";
/** Lists of products. */
export const ofProducts: Tag = "products";
export const ofProduct = (sku: string): Tag => `product ${sku}`;
/** What sending costs. */
export const ofRates: Tag = "rates";
/** What the identity service says of itself. */
export const ofIdentity: Tag = "identity";
