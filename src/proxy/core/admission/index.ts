/**
 * Which clients of a worker have a place, and who waits for one in which order. It knows clients
 * only as opaque values, and no socket. Read `admission.ts`; its other half, which shares the
 * places among the workers of a node, is `supervisor/core/client-places.ts`.
 */
export { Admission, type AdmissionPort, type AdmissionTerms, type Entry } from "./admission.ts";
export { FairShare } from "./fair-share.ts";
export { Presence } from "./presence.ts";
