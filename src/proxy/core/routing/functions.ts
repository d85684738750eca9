/**
 * Functions of PostgreSQL that neither write nor answer for one server alone, so a standby may
 * run them. None is volatile in PostgreSQL. Left out on purpose although not volatile:
 * txid_current and pg_current_xact_id (assign a transaction id, which a standby refuses),
 * pg_backend_pid (names a process of one server), what reads one server's state (pg_stat_get_*,
 * pg_listening_channels, pg_my_temp_schema, pg_get_replication_slots, pg_walfile_name ...).
 */
const GROUPS: Readonly<Record<string, string>> = {
  aggregates: `array_agg avg bit_and bit_or bit_xor bool_and bool_or count every json_agg
    json_object_agg jsonb_agg jsonb_object_agg max min range_agg range_intersect_agg string_agg sum
    xmlagg any_value corr covar_pop covar_samp regr_avgx regr_avgy regr_count regr_intercept regr_r2
    regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp var_pop var_samp variance
    mode percentile_cont percentile_disc grouping json_arrayagg json_objectagg
    json_agg_strict jsonb_agg_strict`,
  windows: `row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value
    nth_value`,
  sets: "generate_series generate_subscripts unnest",
  mathematics: `abs cbrt ceil ceiling degrees div erf erfc exp factorial floor gcd lcm ln log log10
    min_scale mod pi pow power radians round scale sign sqrt trim_scale trunc width_bucket
    acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cos cosd cosh cot cotd sin sind
    sinh tan tand tanh numeric_inc num_nonnulls num_nulls`,
  strings: `ascii bit_length btrim casefold char_length character_length chr concat concat_ws
    convert convert_from convert_to decode encode format get_bit get_byte initcap is_normalized left
    length like like_escape lower lpad ltrim md5 normalize notlike octet_length overlay parse_ident
    pg_client_encoding position quote_ident quote_literal quote_nullable regexp_count regexp_instr
    regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim set_bit set_byte
    sha224 sha256 sha384 sha512 similar_escape similar_to_escape split_part starts_with
    string_to_array string_to_table strpos substr substring textlen to_ascii to_bin to_hex to_oct
    translate trim unistr upper bit_count crc32 crc32c`,
  formatting: "to_char to_date to_number to_timestamp",
  dates: `age date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
    justify_hours justify_interval make_date make_interval make_time make_timestamp
    make_timestamptz now overlaps statement_timestamp timezone transaction_timestamp`,
  enums: "enum_first enum_last enum_range",
  geometry: `area bound_box box center circle diagonal diameter height isclosed ishorizontal isopen
    isparallel isperp isvertical line lseg npoints path pclose point polygon popen radius slope
    width`,
  network: `abbrev broadcast family host hostmask inet_merge inet_same_family masklen netmask
    network set_masklen macaddr8_set7bit`,
  "text search": `array_to_tsvector get_current_ts_config json_to_tsvector jsonb_to_tsvector
    numnode phraseto_tsquery plainto_tsquery querytree setweight strip to_tsquery to_tsvector
    ts_debug ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd ts_token_type
    tsquery_phrase tsvector_to_array websearch_to_tsquery`,
  xml: `xml xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlcomment
    xmlconcat2 xmlexists xmltext xpath xpath_exists`,
  json: `array_to_json json_array_elements json_array_elements_text json_array_length
    json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object json_object_keys json_populate_record json_populate_recordset
    json_strip_nulls json_to_record json_to_recordset json_typeof jsonb_array_elements
    jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat
    jsonb_contained jsonb_contains jsonb_delete jsonb_delete_path jsonb_each jsonb_each_text
    jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path jsonb_extract_path_text
    jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_exists_tz
    jsonb_path_match jsonb_path_match_tz jsonb_path_query jsonb_path_query_array
    jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz
    jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax
    jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb`,
  arrays: `array_append array_cat array_dims array_fill array_length array_lower array_ndims
    array_position array_positions array_prepend array_remove array_replace array_reverse array_sort
    array_to_string array_upper cardinality trim_array`,
  ranges: `daterange datemultirange int4multirange int4range int8multirange int8range isempty
    lower_inc lower_inf multirange nummultirange numrange range_merge tsmultirange tsrange
    tstzmultirange tstzrange upper_inc upper_inf`,
  casts: `bit bool bpchar char cidr date float4 float8 inet int2 int4 int8 interval macaddr macaddr8
    money name numeric oid regclass text time timestamp timestamptz timetz varbit varchar`,
  session: `current_catalog current_database current_role current_schema
    current_schemas current_setting current_user getdatabaseencoding inet_client_addr
    inet_client_port inet_server_addr inet_server_port session_user system_user user version`,
  catalog: `col_description format_type has_any_column_privilege has_column_privilege
    has_database_privilege has_foreign_data_wrapper_privilege has_function_privilege
    has_language_privilege has_parameter_privilege has_schema_privilege has_sequence_privilege
    has_server_privilege has_table_privilege has_tablespace_privilege has_type_privilege
    obj_description pg_char_to_encoding pg_collation_for pg_collation_is_visible pg_column_size
    pg_column_compression pg_conversion_is_visible pg_describe_object pg_encoding_to_char
    pg_function_is_visible pg_get_constraintdef pg_get_expr pg_get_function_arguments
    pg_get_function_identity_arguments pg_get_function_result pg_get_functiondef pg_get_indexdef
    pg_get_keywords pg_get_partition_constraintdef pg_get_partkeydef pg_get_ruledef
    pg_get_serial_sequence pg_get_statisticsobjdef pg_get_triggerdef pg_get_userbyid pg_get_viewdef
    pg_has_role pg_identify_object pg_index_column_has_property pg_index_has_property
    pg_indexam_has_property pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible
    pg_options_to_table pg_partition_root pg_relation_is_updatable pg_size_bytes pg_size_pretty
    pg_statistics_obj_is_visible pg_table_is_visible pg_ts_config_is_visible pg_ts_dict_is_visible
    pg_ts_parser_is_visible pg_ts_template_is_visible pg_type_is_visible pg_typeof pg_wal_lsn_diff
    row_security_active shobj_description to_regclass to_regcollation to_regnamespace to_regoper
    to_regoperator to_regproc to_regprocedure to_regrole to_regtype`,
};

const HARMLESS: ReadonlySet<string> = new Set(
  Object.values(GROUPS).flatMap((names) => names.split(/\s+/)),
);

/** @param name as in a SqlClass: `lower` or `pg_catalog.lower`; other schemas are not PostgreSQL's. */
export function isHarmlessBuiltin(name: string): boolean {
  return HARMLESS.has(withoutCatalog(name));
}

/** PostgreSQL's own functions that a standby cannot run, or that must not run twice. */
export function isWritingBuiltin(name: string): boolean {
  return !isHarmlessBuiltin(name) && WRITING.test(withoutCatalog(name));
}

const WRITING = /^(?:nextval|setval|currval|lastval|set_config|txid_\w+|lo_\w+|pg_\w+)$/;

/** Not volatile, but a standby refuses it, or has another answer. */
export function isBoundToPrimary(name: string): boolean {
  return BOUND_TO_PRIMARY.has(withoutCatalog(name));
}

const BOUND_TO_PRIMARY: ReadonlySet<string> = new Set(
  `txid_current txid_current_if_assigned txid_status pg_current_xact_id
  pg_current_xact_id_if_assigned pg_xact_status pg_backend_pid pg_listening_channels
  pg_my_temp_schema pg_is_other_temp_schema`.split(/\s+/),
);

/** For tests: all names, to be compared with PostgreSQL's own catalog. */
export function harmlessBuiltins(): readonly string[] {
  return [...HARMLESS];
}

function withoutCatalog(name: string): string {
  return name.startsWith("pg_catalog.") ? name.slice("pg_catalog.".length) : name;
}
