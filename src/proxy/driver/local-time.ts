/** `YYYY-MM-DD HH:MM:SS` in local time, as SHOW POOL_NODES prints a moment. */
export function formatLocalTime(wallMs: number): string {
  const time = new Date(wallMs);
  const date = [time.getFullYear(), time.getMonth() + 1, time.getDate()];
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()];
  const padded = (value: number): string => String(value).padStart(2, "0");
  return `${date.map(padded).join("-")} ${clock.map(padded).join(":")}`;
}

/** `h:mm:ss.mmm`, as the log names the length of a session. */
export function formatSessionTime(lengthMs: number): string {
  const seconds = Math.floor(lengthMs / 1000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const minutesAndSeconds = parts.map((part) => String(part).padStart(2, "0")).join(":");
  const milliseconds = String(Math.floor(lengthMs % 1000)).padStart(3, "0");
  return `${Math.floor(seconds / 3600)}:${minutesAndSeconds}.${milliseconds}`;
}
