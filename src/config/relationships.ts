import { splitOutside } from "./list-text.ts";
import type { ListComplaint } from "./redirects.ts";

/** Of dml_adaptive_object_relationship_list: who writes the one has written the other as well. */
export interface Relationship {
  /** Lower case, a table, or a function when `isFunction`. */
  readonly object: string;
  readonly isFunction: boolean;
  readonly dependent: string;
}

/**
 * Reads `object:dependent`, with commas between; a function is written `f()`.
 * Source: Pgpool-II manual, dml_adaptive_object_relationship_list.
 */
export function readRelationships(text: string): {
  readonly relationships: readonly Relationship[];
  readonly complaints: readonly ListComplaint[];
} {
  const relationships: Relationship[] = [];
  const complaints: ListComplaint[] = [];
  for (const item of splitOutside(text, ",")) {
    const [object = "", dependent = "", ...rest] = item.split(":").map((part) => part.trim());
    if (object === "" || dependent === "" || rest.length > 0) {
      const message = `"${item}" in dml_adaptive_object_relationship_list names no two objects`;
      complaints.push({ message, hint: "write object:dependent, and f() for a function" });
      continue;
    }
    relationships.push({
      object: object.replace(/\(\s*\)$/, "").toLowerCase(),
      isFunction: object.endsWith(")"),
      dependent: dependent.toLowerCase(),
    });
  }
  return { relationships, complaints };
}
