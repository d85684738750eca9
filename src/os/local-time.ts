/** `YYYY-MM-DD HH:MM:SS` in local time, as Pgpool-II prints a moment. */
export function formatLocalTime(wallMs: number): string {
  const time = new Date(wallMs);
  const date = [time.getFullYear(), time.getMonth() + 1, time.getDate()];
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()];
  const padded = (value: number): string => String(value).padStart(2, "0");
  return `${date.map(padded).join("-")} ${clock.map(padded).join(":")}`;
}
