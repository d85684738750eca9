/** The configurations under which the corpus is replayed: each routing parameter in one of them. */
import type { Protocol } from "./corpus.ts";

export interface Configuration {
  readonly name: string;
  /** Of the primary and both standbys. A standby alone at 1 makes node ids comparable. */
  readonly weights: readonly [number, number, number];
  readonly lines: readonly string[];
  /** What Pgpool-II's SHOW POOL_NODES calls the servers, where they are no primary and standbys. */
  readonly roles?: readonly string[];
  /** Chance chooses the standby: only whether it is one is compared. */
  readonly comparesRoles?: boolean;
  /** Id of a standby that stops to replay what the primary writes. */
  readonly lagging?: number;
  /** Protocols in which all reads go to the primary. */
  readonly readsPrimary?: readonly Protocol[];
  /** Files of the corpus. */
  readonly files: readonly string[];
  /** Of these files; undefined: all. */
  readonly rules?: readonly string[];
}

const BOTH: readonly Protocol[] = ["simple", "extended"];
const FIRST_STANDBY = [0, 1, 0] as const;

export const CONFIGURATIONS: readonly Configuration[] = [
  {
    name: "default",
    weights: FIRST_STANDBY,
    lines: [],
    files: ["statements", "objects", "transactions", "on-write"],
  },
  {
    name: "no balance",
    weights: FIRST_STANDBY,
    lines: ["load_balance_mode = off"],
    readsPrimary: BOTH,
    files: ["sample"],
  },
  { name: "primary only", weights: [1, 0, 0], lines: [], readsPrimary: BOTH, files: ["sample"] },
  { name: "second standby", weights: [0, 0, 1], lines: [], files: ["sample"] },
  { name: "no weights", weights: [0, 0, 0], lines: [], readsPrimary: BOTH, files: ["sample"] },
  {
    name: "both standbys",
    weights: [0, 1, 1],
    lines: [],
    comparesRoles: true,
    files: ["sample"],
  },
  {
    name: "each statement",
    weights: FIRST_STANDBY,
    lines: ["statement_level_load_balance = on"],
    files: ["sample", "on-write"],
  },
  {
    name: "each statement anywhere",
    weights: [0, 1, 1],
    lines: ["statement_level_load_balance = on"],
    comparesRoles: true,
    files: ["sample"],
  },
  {
    name: "write off",
    weights: FIRST_STANDBY,
    lines: ["disable_load_balance_on_write = 'off'"],
    files: ["sample", "on-write"],
  },
  {
    name: "write trans_transaction",
    weights: FIRST_STANDBY,
    lines: ["disable_load_balance_on_write = 'trans_transaction'"],
    files: ["sample", "on-write"],
  },
  {
    name: "write always",
    weights: FIRST_STANDBY,
    lines: ["disable_load_balance_on_write = 'always'"],
    files: ["sample", "on-write"],
  },
  {
    name: "write dml_adaptive",
    weights: FIRST_STANDBY,
    lines: [
      "disable_load_balance_on_write = 'dml_adaptive'",
      "dml_adaptive_object_relationship_list = 't:related,marks_related():related'",
    ],
    files: ["sample", "on-write"],
  },
  {
    name: "comments",
    weights: FIRST_STANDBY,
    lines: ["allow_sql_comments = on"],
    files: ["statements", "sample"],
    rules: ["Blanks and comments", "COPY", "EXPLAIN", "Several statements in one text"],
  },
  {
    name: "white space",
    weights: FIRST_STANDBY,
    lines: ["ignore_leading_white_space = off"],
    files: ["statements"],
    rules: ["Blanks and comments", "COPY"],
  },
  {
    name: "patterns",
    weights: FIRST_STANDBY,
    lines: [
      "primary_routing_query_pattern_list = 'select id from patterned;.*quoted.*;select \\* from t where id = [0-9]+;select .prefix. as a;table child;show.*;copy child.*;with .*7.*;select 1 \\+ 1;set work_mem = .5MB.;.*a\\;b.*;.*named.*'",
    ],
    files: ["lists", "sample"],
    rules: ["Patterns of whole texts"],
  },
  {
    name: "read-only functions",
    weights: FIRST_STANDBY,
    lines: ["read_only_function_list = 'get_.*,stable_f,lower,public.volatile_f,nextval'"],
    files: ["lists", "objects"],
    rules: ["Functions on lists", "Functions by volatility"],
  },
  {
    name: "writing functions",
    weights: FIRST_STANDBY,
    lines: ["write_function_list = 'put_.*,setval,stable_f,s.only_there_f,quoted f,now'"],
    files: ["lists", "objects"],
    rules: ["Functions on lists", "Functions by volatility"],
  },
  {
    name: "applications",
    weights: FIRST_STANDBY,
    lines: [
      "app_name_redirect_preference_list = 'reports.u.*:primary,second.*:2,first.*:1,standbys.*:standby,primaries.*:primary(1.0),never.*:2(0.0)'",
    ],
    files: ["lists"],
    rules: ["Applications that are sent elsewhere"],
  },
  {
    name: "databases",
    weights: FIRST_STANDBY,
    lines: [
      "database_redirect_preference_list = 'routing_.*_simple:primary,ROUTING_.*_EXTENDED:2'",
      "app_name_redirect_preference_list = 'reports.*:1'",
    ],
    readsPrimary: ["simple"],
    files: ["lists"],
    rules: ["Databases that are sent elsewhere"],
  },
  {
    name: "temp trace",
    weights: FIRST_STANDBY,
    lines: ["check_temp_table = 'trace'"],
    files: ["objects"],
    rules: ["Temporary tables"],
  },
  {
    name: "temp none",
    weights: FIRST_STANDBY,
    lines: ["check_temp_table = 'none'", "check_unlogged_table = off"],
    files: ["objects"],
    rules: ["Temporary tables", "Unlogged tables"],
  },
  {
    name: "lagging",
    weights: FIRST_STANDBY,
    lines: ["delay_threshold = 10000"],
    lagging: 1,
    readsPrimary: BOTH,
    files: ["sample"],
    rules: ["A sample of reads"],
  },
  {
    name: "lagging, another preferred",
    weights: [0, 3, 1],
    lines: ["delay_threshold = 10000", "prefer_lower_delay_standby = on"],
    lagging: 1,
    files: ["sample"],
    rules: ["A sample of reads"],
  },
  {
    name: "lagging, not looked at",
    weights: FIRST_STANDBY,
    lines: ["delay_threshold = 0"],
    lagging: 1,
    files: ["sample"],
    rules: ["A sample of reads"],
  },
  {
    name: "lagging, each statement",
    weights: [0, 3, 1],
    lines: [
      "delay_threshold = 10000",
      "prefer_lower_delay_standby = on",
      "statement_level_load_balance = on",
    ],
    lagging: 1,
    files: ["sample"],
    rules: ["A sample of reads"],
  },
  {
    name: "logical replication",
    weights: FIRST_STANDBY,
    lines: ["backend_clustering_mode = 'logical_replication'"],
    roles: ["main", "replica", "replica"],
    files: ["sample"],
  },
  {
    name: "raw",
    weights: FIRST_STANDBY,
    lines: ["backend_clustering_mode = 'raw'"],
    readsPrimary: BOTH,
    roles: ["main", "replica", "replica"],
    files: ["sample"],
  },
];
