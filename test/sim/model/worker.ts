/**
 * A worker with the production gate: now and then it has a statement that writes, and forwards it
 * by the view it has, if it may.
 */
import type { Ms } from "../../../src/base/index.ts";
import type { ClusterState } from "../../../src/backend/core/status/index.ts";
import { ForwardingGate } from "../../../src/proxy/core/routing/index.ts";
import type { Host } from "./host.ts";
import { Pipe } from "./pipe.ts";
import { Process } from "./process.ts";
import type { Supervisor } from "./supervisor.ts";

const WRITE_EVERY_MS_MAX = 400;

export class Worker {
  readonly process: Process;
  readonly #host: Host;
  readonly #supervisor: Supervisor;
  readonly #fromSupervisor: Pipe;
  readonly #gate: ForwardingGate;
  #view: { readonly epoch: number; readonly primaryId: number | null } | null = null;

  constructor(host: Host, supervisor: Supervisor) {
    this.#host = host;
    this.#supervisor = supervisor;
    this.process = new Process(host.world);
    this.#fromSupervisor = new Pipe(host, this.process);
    this.#gate = new ForwardingGate({ withoutLeaseMs: 0, withoutPrimaryMs: 0 }, host.localMs);
    this.#writeLater();
  }

  onView(index: number, { epoch, intent, ...cluster }: ClusterState): void {
    // What is drained takes nothing new.
    const isDraining =
      intent?.kind === "switchover" && this.#host.world.planted.ignoresDrain !== true;
    const primaryId = isDraining ? null : cluster.primaryId;
    this.#fromSupervisor.send(() => {
      this.#host.world.trace?.(`${this.#host.id} worker routes by ${index}, epoch ${epoch}`);
      this.#view = { epoch, primaryId };
      this.#supervisor.hear((supervisor) => supervisor.onWorkerApplied(index));
    });
  }

  onLease(untilMs: Ms): void {
    this.#fromSupervisor.send(() => this.#gate.leaseTaken(untilMs));
  }

  #writeLater(): void {
    this.#host.after(this.#host.random.next() * WRITE_EVERY_MS_MAX, () => {
      if (this.process.isDead) return;
      this.process.run(() => this.#write());
      this.#writeLater();
    });
  }

  #write(): void {
    const { world, localMs } = this.#host;
    const view = this.#view;
    if (view === null || view.primaryId === null) return;
    if (!this.#gate.isOpen(localMs) && world.planted.ignoresLease !== true) return;
    world.stats.writes += 1;
    world.promises.noStaleWrite.onWrite(this.#host.id, view.epoch);
    const server = world.postgres.server(view.primaryId);
    if (server === null || !world.postgres.write(view.primaryId)) return;
    world.promises.nothingLost.onWritten(this.#host.id, server);
  }
}
