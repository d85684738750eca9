/** The words after `npm run test:drivers --`. */
import { driverNames } from "./drivers.ts";
import { featureNames, isFeature, type Feature } from "./features.ts";
import { placeNames, type PlaceName } from "./places.ts";

export interface Options {
  readonly drivers: readonly string[];
  readonly features: readonly Feature[];
  readonly places: readonly PlaceName[];
  readonly programs: number;
  readonly allowMissing: boolean;
  readonly verbose: boolean;
}

export const HELP = `npm run test:drivers -- [OPTION…]

Runs one program for each driver, directly against PostgreSQL and through a node, and compares what
they print. Exit status 0 when nothing differs and no driver is missing.

  --driver NAME     only this one, may be given more than once: ${driverNames.join(", ")}
  --feature NAME    only this one, may be given more than once: ${featureNames.join(", ")}
  --place NAME      only here, may be given more than once: ${placeNames.join(", ")}
  --programs N      programs of a driver that run at the same time (default 2)
  --allow-missing   a driver whose packages are not installed does not fail the run
  --verbose         print what each program printed
`;

/** A text is what is wrong with the words. */
export function parseOptions(words: readonly string[]): Options | string {
  const drivers: string[] = [];
  const features: Feature[] = [];
  const places: PlaceName[] = [];
  let programs = 2;
  let allowMissing = false;
  let verbose = false;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? "";
    if (word === "--allow-missing") allowMissing = true;
    else if (word === "--verbose") verbose = true;
    else {
      at += 1;
      const value = words[at] ?? "";
      if (word === "--driver" && driverNames.includes(value)) drivers.push(value);
      else if (word === "--feature" && isFeature(value)) features.push(value);
      else if (word === "--place" && isPlace(value)) places.push(value);
      else if (word === "--programs" && /^[1-9]$/.test(value)) programs = Number(value);
      else return `unknown: ${word} ${value}`.trimEnd();
    }
  }
  return {
    drivers: drivers.length > 0 ? drivers : driverNames,
    features: features.length > 0 ? features : featureNames,
    places: places.length > 0 ? places : placeNames,
    programs,
    allowMissing,
    verbose,
  };
}

function isPlace(word: string): word is PlaceName {
  return placeNames.some((name) => name === word);
}
