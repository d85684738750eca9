/** The small child that lets go of the VIP when its watchdog is dead, and proves it. */
import type { Host } from "./host.ts";
import { Process } from "./process.ts";

const CHILDREN_WAIT_MS = 1000;

export class Guardian {
  readonly process: Process;
  readonly #host: Host;
  readonly #run: number;
  #secret: string | null = null;

  /** @param run of the watchdog that it guards. */
  constructor(host: Host, run: number) {
    this.#host = host;
    this.#run = run;
    this.process = new Process(host.world);
  }

  arm(secret: string, onArmed: () => void): void {
    this.process.run(() => {
      this.#secret = secret;
      onArmed();
    });
  }

  disarm(): void {
    this.process.run(() => {
      this.#secret = null;
    });
  }

  /** The pipe has ended: the watchdog is dead, however it died. */
  onPipeEnded(): void {
    this.process.run(() => {
      if (this.#secret === null) return this.process.kill();
      let hasLetGo = false;
      const letGo = (isSure: boolean): void => {
        if (hasLetGo) return;
        hasLetGo = true;
        this.process.run(() => this.#letGo(isSure));
      };
      this.#host.whenNoChildren(() => letGo(true));
      this.#host.after(CHILDREN_WAIT_MS, () => letGo(false));
    });
  }

  /** @param isSure no child of the dead watchdog can bring the address back. */
  #letGo(isSure: boolean): void {
    const { kernel } = this.#host;
    this.#host.after(this.#host.random.between(1, 9), () =>
      this.process.run(() => {
        kernel.closeByDatagram(this.#run);
        kernel.deleteAddress();
        const secret = this.#secret;
        if (isSure && secret !== null) this.#host.spreadSecret(secret);
        this.process.kill();
      }),
    );
  }
}
