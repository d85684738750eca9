/**
 * Answers SHOW POOL_* from values it is given. It asks nobody, formats no time itself and sends
 * nothing: the session puts the rows on the wire.
 */
export { answerShow, needsList, type ShowAnswer, type ShowData } from "./show.ts";
