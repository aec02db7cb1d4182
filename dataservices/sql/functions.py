"""The functions that a definition may call, by dialect.

A list of what is allowed, because a list of what is forbidden is never complete: here are the functions that compute
from their arguments. Functions that sleep, lock, read files or settings, reach a network, run other SQL or change
anything are absent. An operator adds an agency's own functions by a setting.
"""

from __future__ import annotations

from adapters.server_names import ORACLE_SCHEMAS


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _words("""
    abs acos asin atan atan2 avg cast ceil ceiling char_length character_length coalesce concat concat_ws cos
    cot count cume_dist current_date current_time current_timestamp date degrees dense_rank exp extract
    first_value floor greatest hex ifnull instr json_array json_object lag last_value lead least left length ln
    localtime localtimestamp log log10 log2 lower lpad ltrim max min mod nth_value ntile nullif octet_length
    percent_rank pi position pow power radians rank replace reverse right round row_number rpad rtrim sign sin
    sqrt substr substring sum tan time trim upper
""")

_SQLITE = _words("""
    acosh asinh atanh bm25 char cosh date datetime decimal format glob group_concat highlight iif if julianday
    json json_array_length json_each json_error_position json_extract json_group_array json_group_object
    json_insert json_patch json_pretty json_quote json_remove json_replace json_set json_tree json_type
    json_valid jsonb jsonb_array jsonb_extract jsonb_group_array jsonb_group_object jsonb_object like likelihood
    likely nullif octet_length printf quote random regexp sign sinh snippet soundex strftime string_agg tanh
    timediff total trunc typeof unhex unicode unistr unixepoch unlikely median percentile percentile_cont
    percentile_disc
""")

_POSTGRESQL = _words("""
    acosd acosh age any_value array_agg array_append array_cat array_dims array_fill array_length array_lower
    array_ndims array_position array_positions array_prepend array_remove array_replace array_sample
    array_shuffle array_to_json array_to_string array_upper ascii asind asinh atand atan2d atanh bit_and
    bit_count bit_length bit_or bit_xor bool_and bool_or btrim cardinality casefold cbrt ceiling chr
    clock_timestamp convert convert_from convert_to corr cosd cosh cotd covar_pop covar_samp crc32 crc32c cube
    date_add date_bin date_part date_subtract date_trunc datemultirange daterange decode div encode enum_first
    enum_last enum_range erf erfc every factorial format format_type gamma gcd gen_random_uuid generate_series
    generate_subscripts get_bit get_byte grouping host initcap int4range int8range isempty isfinite json_agg
    json_agg_strict json_array_elements json_array_elements_text json_array_length json_arrayagg
    json_build_array json_build_object json_each json_each_text json_exists json_extract_path
    json_extract_path_text json_object_agg json_object_agg_unique json_object_keys json_objectagg
    json_populate_record json_populate_recordset json_query json_scalar json_serialize json_strip_nulls
    json_table json_to_record json_to_recordset json_typeof json_value json jsonb_agg jsonb_agg_strict
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object
    jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any jsonb_extract_path
    jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_agg jsonb_object_keys jsonb_path_exists
    jsonb_path_exists_tz jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first
    jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
    jsonb_to_record jsonb_to_recordset jsonb_typeof justify_days justify_hours justify_interval lcm levenshtein
    lgamma lower_inc lower_inf make_date make_interval make_time make_timestamp make_timestamptz masklen md5
    merge_action metaphone min_scale mode multirange netmask network normalize now num_nonnulls num_nulls
    numeric numrange overlay parse_ident percentile_cont percentile_disc phraseto_tsquery plainto_tsquery
    quote_ident quote_literal quote_nullable random random_normal range_agg range_intersect_agg range_merge
    regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope
    regr_sxx regr_sxy regr_syy repeat rollup row row_to_json scale set_bit set_byte setweight sha224 sha256
    sha384 sha512 similarity sind sinh soundex split_part starts_with statement_timestamp stddev stddev_pop
    stddev_samp string_agg string_to_array string_to_table strip strict_word_similarity strpos tand tanh text
    timeofday timezone to_ascii to_char to_date to_hex to_bin to_oct to_json to_jsonb to_number to_timestamp
    to_tsquery to_tsvector transaction_timestamp translate trim_array trim_scale trunc ts_headline ts_rank
    ts_rank_cd tsrange tstzrange tsvector_to_array unaccent unicode_assigned unistr unnest upper_inc upper_inf
    uuid_extract_timestamp uuidv4 uuidv7 var_pop var_samp variance websearch_to_tsquery width_bucket
    word_similarity xmlagg xmlattributes xmlcomment xmlconcat xmlelement xmlexists xmlforest xmlparse xmlpi
    xmlroot xmlserialize xmltable xpath xpath_exists dmetaphone difference daitch_mokotoff st_area st_asgeojson
    st_astext st_aswkt st_buffer st_centroid st_contains st_covers st_distance st_dwithin st_envelope
    st_geomfromgeojson st_geomfromtext st_intersection st_intersects st_isvalid st_length st_makepoint st_point
    st_setsrid st_srid st_transform st_union st_within st_x st_y st_geohash st_simplify
""")

_MYSQL = _words("""
    adddate addtime any_value area ascii bin bin_to_uuid bit_and bit_count bit_length bit_or bit_xor char chr
    coercibility conv convert convert_tz crc32 curdate curtime date_add date_format date_sub datediff day
    dayname dayofmonth dayofweek dayofyear elt export_set extractvalue field find_in_set format format_bytes
    from_base64 from_days from_unixtime from_hex get_format group_concat grouping hour if inet6_aton inet6_ntoa
    inet_aton inet_ntoa insert interval is_ipv4 is_ipv6 is_uuid isnull json_arrayagg json_array_append
    json_array_insert json_arrayappend json_compact json_contains json_contains_path json_depth json_detailed
    json_equals json_exists json_extract json_insert json_keys json_length json_loose json_merge_patch
    json_merge_preserve json_merge json_normalize json_object_filter_keys json_objectagg json_overlaps
    json_pretty json_query json_quote json_remove json_replace json_schema_valid json_search json_set
    json_storage_size json_table json_type json_unquote json_valid json_value last_day lcase locate make_set
    makedate maketime match md5 median microsecond mid minute month monthname natural_sort_key now oct
    octet_length ord percentile_cont percentile_disc period_add period_diff quarter quote rand regexp_instr
    regexp_like regexp_replace regexp_substr repeat sec_to_time second sha sha1 sha2 soundex space std stddev
    stddev_pop stddev_samp str_to_date strcmp subdate substring_index subtime sysdate sformat time_format
    time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_char to_date to_days to_seconds
    truncate trunc ucase unhex unix_timestamp updatexml utc_date utc_time utc_timestamp uuid uuid_to_bin values
    var_pop var_samp variance week weekday weekofyear weight_string year yearweek geomfromtext point st_area
    st_asgeojson st_astext st_buffer st_centroid st_contains st_distance st_distance_sphere st_envelope
    st_geomfromgeojson st_geomfromtext st_intersects st_length st_srid st_within st_x st_y x y
""")

_TSQL = _words("""
    app_name apply approx_count_distinct ascii at atn2 auto biginttohex binary_checksum bit_count ceiling char
    char_length charindex checksum checksum_agg choose col_length compress concat_ws contains convert count_big cube
    cume_dist datalength date date_bucket dateadd datediff datediff_big datefromparts datename datepart datetime
    datetime2 datetime2fromparts datetimefromparts datetimeoffset datetimeoffsetfromparts datetrunc day decompress
    degrees difference edit_distance eomonth exist explicit format freetext generate_series getbit getdate
    getutcdate greatest grouping grouping_id hash hashbytes hextobigint hextoint hierarchyid iif image index
    inttohex isdate isjson isnull isnumeric json_array json_arrayagg json_contains json_modify json_object
    json_objectagg json_path_exists json_query json_value len log10 lower money month newid nodes nolock ntext
    nullif openjson option output parse parsename path patindex percentile_cont percentile_disc pivot quotename rand
    raw readpast real regexp_count regexp_instr regexp_like regexp_replace regexp_substr replicate reverse rollup
    root round rtrim scope_identity sign smalldatetime smalldatetimefromparts smallmoney soundex space sql_variant
    square stddev stdev stdevp str str_replace string_agg string_escape string_split stuff substring switchoffset
    sysdatetime sysdatetimeoffset sysutcdatetime text textptr timefromparts tinyint to_unichar todatetimeoffset top
    translate trim try_cast try_convert try_parse uhighsurr ulowsurr unichar unicode uniqueidentifier unitext
    univarchar unpivot upper uscalar user_name value var varp within xml year
""")

_ORACLE = _words("""
    add_months any_value approx_count_distinct ascii asciistr avg bin_to_num bitand bit_and_agg bit_or_agg bit_xor_agg
    checksum chr compose convert corr covar_pop covar_samp cosh cube decode decompose empty_blob empty_clob from_tz
    group_id grouping grouping_id hextoraw initcap instr2 instr4 instrb instrc json json_arrayagg json_equal
    json_exists json_mergepatch json_objectagg json_query json_scalar json_serialize json_table json_transform
    json_value last_day lengthb lengthc listagg lnnvl median months_between nanvl nchr new_time next_day nls_initcap
    nls_lower nls_upper nlssort numtodsinterval numtoyminterval nvl nvl2 ora_hash percentile_cont percentile_disc
    ratio_to_report rawtohex rawtonhex regexp_count regexp_instr regexp_like regexp_replace regexp_substr regr_avgx
    regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy remainder rollup rowidtochar
    sinh soundex standard_hash stats_mode stddev stddev_pop stddev_samp substr2 substr4 substrb substrc
    sys_connect_by_path sys_extract_utc sys_guid systimestamp tanh to_binary_double to_binary_float to_blob
    to_boolean to_char to_clob to_date to_dsinterval to_lob to_multi_byte to_nchar to_nclob to_number to_single_byte
    to_timestamp to_timestamp_tz to_yminterval translate treat trunc tz_offset unistr validate_conversion var_pop
    var_samp variance vsize width_bucket wm_concat xmlagg xmlattributes xmlcast xmlcdata xmlcolattval xmlcomment
    xmlconcat xmlelement xmlforest xmlpi xmlroot xmlserialize
    connect keep nulls pivot prior raw sample start unpivot varchar2 nvarchar2
""")

FUNCTIONS: dict[str, frozenset[str]] = {
    "sqlite": _COMMON | _SQLITE,
    "postgres": _COMMON | _POSTGRESQL,
    "mysql": _COMMON | _MYSQL,
    "tsql": _COMMON | _TSQL,
    "oracle": _COMMON | _ORACLE,
}

#: Words that may stand before "(" without being called: the grammar's own, and types that take a size.
GRAMMAR = _words("""
    all and any array as asc between bernoulli by case collate columns conflict cross cycle default desc
    distinct div do else end escape except exclude exists fetch filter first following for force from full glob
    group having ignore ilike in index inner insert intersect into is isnull join key keep lateral like limit
    match materialized minus natural nested next not notnull of offset on only or order ordinality outer over
    overlaps partition passing path preceding range recursive regexp returning rlike row rows search select
    separator set sets similar some symmetric system tablesample then to union unique update using values when
    where window with within xor zone against binary bigint bit blob bool boolean bytea char character date
    datetime dec decimal double enum fixed float int int2 int4 int8 integer interval mediumint nchar number
    numeric nvarchar precision real signed smallint text time timestamp timestamptz timetz tinyint unsigned
    varbinary varbit varchar varying year
""")

#: Relations that tell of accounts, passwords, settings or other people's statements, by dialect: whole
#: schemas, names, and beginnings of names.
SCHEMAS: dict[str, frozenset[str]] = {
    "sqlite": frozenset(),
    "postgres": _words("pg_catalog pg_toast"),
    "mysql": _words("mysql performance_schema sys"),
    "tsql": _words("sys sybsecurity"),
    "oracle": ORACLE_SCHEMAS,
}
#: Databases that hold the server's own.
CATALOGS: dict[str, frozenset[str]] = {
    "sqlite": frozenset(),
    "postgres": frozenset(),
    "mysql": frozenset(),
    "tsql": _words("master model msdb tempdb distribution resource sybsecurity sybsystemdb sybsystemprocs saptools"),
    "oracle": frozenset(),
}
RELATIONS: dict[str, frozenset[str]] = {
    "sqlite": _words("""
    dbstat sqlite_dbpage sqlite_stmt sqlite_memstat bytecode tables_used completion fsdir fts3tokenize
"""),
    "postgres": _words("user_mapping_options foreign_server_options foreign_data_wrapper_options"),
    # Of its information_schema only INFORMATION can be read.
    "mysql": frozenset(),
    "tsql": _words("""
    sysalternates sysaltfiles sysattributes syscacheobjects syscharsets syscomments sysconfigures sysconstraints
    syscurconfigs sysdatabases sysdepends sysdevices sysencryptkeys sysengines sysfilegroups sysfiles
    sysforeignkeys sysfulltextcatalogs sysindexes sysindexkeys sysjars syskeys syslanguages syslisteners syslockinfo
    syslocks sysloginroles syslogins syslogs syslogshold sysmembers sysmessages sysmonitors sysobjects sysoledbusers
    sysopentapes sysperfinfo syspermissions sysprocedures sysprocesses sysprotects sysqueryplans sysreferences
    sysremotelogins sysresourcelimits sysroles syssecmechs syssegments sysservers syssessions syssrvroles
    syssyspartitions systabstats systestlog systhresholds systimeranges systransactions systypes sysusages
    sysusermessages sysusers sysxtypes
"""),
    "oracle": _words("""
    all_arguments all_context all_credentials all_db_links all_dependencies all_directories all_identifiers all_jobs
    all_libraries all_objects all_policies all_procedures all_scheduler_jobs all_source all_synonyms all_tab_privs
    all_triggers all_users all_views cat database_compatible_level dict dict_columns dictionary global_name
    nls_database_parameters nls_instance_parameters nls_session_parameters plan_table product_component_version
    proxy_users recyclebin resource_cost role_role_privs role_sys_privs role_tab_privs session_context session_privs
    session_roles system_privilege_map tab user_arguments user_audit_trail user_col_privs user_credentials
    user_db_links user_dependencies user_identifiers user_jobs user_objects user_password_limits user_policies
    user_procedures user_proxies user_recyclebin user_resource_limits user_role_privs user_scheduler_jobs user_source
    user_sys_privs user_tab_privs user_triggers user_users user_views
"""),
}
#: What information_schema says of tables and programs on MySQL and MariaDB. All else there is about accounts, settings,
#: the storage, or other people's statements, and grows with each version.
INFORMATION = _words("""
    character_sets check_constraints collation_character_set_applicability collations columns columns_extensions events
    geometry_columns key_column_usage keywords parameters partitions referential_constraints routines schemata
    schemata_extensions sequences spatial_ref_sys st_geometry_columns st_spatial_reference_systems st_units_of_measure
    statistics table_constraints table_constraints_extensions tables tables_extensions triggers view_routine_usage
    view_table_usage views
""")

BEGINNINGS: dict[str, tuple[str, ...]] = {
    "sqlite": ("pragma_",),
    "postgres": ("pg_", "_pg_"),
    "mysql": (),
    "tsql": ("fn_", "dm_"),
    "oracle": ("dba_", "cdb_", "v$", "gv$", "v_$", "gv_$", "x$", "sys_", "ku$_", "logmnr"),
}

#: What only a statement that writes may call besides: the next number of a sequence, and the last one.
WRITING: dict[str, frozenset[str]] = {
    "sqlite": _words("changes last_insert_rowid"),
    "postgres": _words("currval nextval"),
    "mysql": _words("currval last_insert_id lastval nextval"),
    "tsql": frozenset(),
    "oracle": frozenset(),
}

#: How the names of Oracle's own packages begin. A function of one may be called without brackets.
PACKAGES = (
    "dbms_", "utl_", "owa_", "wpg_", "apex_", "wwv_", "ctx_", "sdo_", "ords_", "xmltype", "httpuri", "ku$_",
    "kupc$", "kupd$", "kupf$", "kupm$", "kupp$", "kupu$", "kupv$", "kupw$", "prvt_", "prvtemx_", "sys_stub_", "wri$_",
)  # fmt: skip

#: Oracle's own packages and procedures whose names begin otherwise, and have public synonyms: CALL takes none of them.
PACKAGE_NAMES = _words("""
    diana dbmshelp diutil htf htp initjvmaux javavm_sys jvmrjbc owa pbreak pbrph pbsde pbutl pidl plitblm rmjvm
    standard subptxt2 sys$name_resolve xmldom xmlparser xslprocessor
""")

#: Functions of the server that CALL would run where a procedure of that name is missing. The adapters look each name up
#: before they do: this list is for an early answer.
CALLED: dict[str, frozenset[str]] = {
    "postgres": _words("""
    current_setting cursor_to_xml database_to_xml lo_export lo_from_bytea lo_get lo_import lo_put query_to_xml
    query_to_xml_and_xmlschema query_to_xmlschema schema_to_xml set_config setseed setval table_to_xml ts_stat version
"""),
    "mysql": _words("""
    benchmark connection_id current_role current_user database found_rows get_lock is_free_lock is_used_lock
    last_insert_id load_file master_gtid_wait master_pos_wait release_all_locks release_lock row_count schema
    session_user sleep source_pos_wait sys_eval sys_exec sys_get sys_set system_user user version
    wait_for_executed_gtid_set
"""),
    "oracle": frozenset(),
}

#: Functions that are called without brackets, and are written like a column. One that is in FUNCTIONS is allowed.
BARE: dict[str, frozenset[str]] = {
    "sqlite": frozenset(),
    "postgres": _words("current_catalog current_role current_schema current_user session_user system_user user"),
    "mysql": _words("current_role current_user"),
    "tsql": _words("current_user session_user system_user user"),
    "oracle": _words("ora_invoking_user ora_invoking_userid uid user"),
}

#: PostgreSQL's functions of a whole row that are not in FUNCTIONS: table.name calls them. Those whose names begin
#: with pg_ belong to them.
OF_ROWS = _words("""
    any_out anycompatible_out anycompatiblenonarray_out anyelement_out anynonarray_out hash_record hash_record_extended
    ordered_set_transition_multi record_out record_send satisfies_hash_partition
""")

#: Types whose values are looked up among the server's objects and accounts.
TYPES: dict[str, frozenset[str]] = {
    "sqlite": frozenset(),
    "postgres": _words("""
    aclitem refcursor regclass regcollation regdatabase regnamespace regoper regoperator regproc regprocedure regrole
    regtype txid_snapshot
"""),
    "mysql": frozenset(),
    "tsql": frozenset(),
    "oracle": frozenset(),
}
