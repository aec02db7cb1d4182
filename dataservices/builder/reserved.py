"""Words that at least one engine reserves: a table or column with such a name is quoted, on every engine.

One list for all: a name in quotation marks without need does no harm, one without them that needs some is an error.
"""

from __future__ import annotations

_WORDS = """
    abort absolute access accessible account action add after aggregate all allocate alter always analyse analyze
    and any are array arraylen as asc asensitive assertion asymmetric at attach audit authorization auto
    autoincrement backup before begin between bigint binary binary_double binary_float blob body_of both break
    browse bulk by cache call cascade case cast change char char_convert character check checkpoint clob close
    cluster clustered coalesce collate collation column columns comment commit compress compute concurrently
    condition confirm conflict connect connect_by_root connection constraint constraints contains containstable
    continue controlrow conv convert create cross cube cume_dist current current_catalog current_date current_path
    current_role current_row current_schema current_time current_timestamp current_transform_group_for_type
    current_user cursor cycle database databases date datetime day day_hour day_microsecond day_minute day_second
    dbcc deallocate dec decimal declare default deferrable deferred delayed delete delete_domain_id delete_using
    dense_rank deny desc descending describe detach deterministic disconnect disk distinct distinctrow distributed
    div do do_domain_ids domain double drop dual dummy dump dumpfile each else elseif elsif empty enclosed encrypt
    end end-exec endtran errlvl errordata errorexit escape escaped every except exception exclude exclusive exec
    execute exists exit explain external fail false fetch file fillfactor filter first first_value float float4
    float8 following for force foreign freetext freetexttable freeze from full fulltext function general generated
    get glob global go goto grant group grouping groups having high_priority holdlock hour hour_microsecond
    hour_minute hour_second identified identity identity_gap identity_insert identitycol if ignore ignore_domain_ids
    ilike immediate in increment index indexed infile initial initially inner inout insensitive insert install
    instead int int1 int2 int3 int4 int8 integer intersect interval into io_after_gtids io_before_gtids is isnull
    isolation iterate jar join json_table key keys kill lag last last_value lateral lead leading leave left level
    like limit linear lineno lines load local localtime localtimestamp lock lock_timeout long longblob longtext loop
    low_priority lower manual master_bind master_demote_to_replica master_demote_to_slave master_heartbeat_period
    master_ssl_verify_server_cert match materialized max maxextents maxvalue mediumblob mediumint mediumtext merge
    middleint min minus minute minute_microsecond minute_second mirror mirrorexit mlslabel mod mode modifies modify
    month national natural nchar new next no_write_to_binlog noaudit nocheck nocompress nocycle_of noholdlock
    nonclustered none not nothing notnull nowait nth_value ntile null nullif nulls number numeric numeric_truncation
    of off offline offset offsets old on once online only open opendatasource openquery openrowset openxml optimize
    optimizer_costs option optionally or order others out outer outfile over overlaps page_checksum parse_vcol_expr
    partition pctfree percent percent_rank perm permanent pivot placing plan portion position preceding precision
    prepare primary print prior privileges proc procedure processexit proxy_table purge quiesce raise raiserror
    range rank raw read read_write reads readtext real reconfigure recursive ref_system_id references referencing
    regexp reindex release remove rename reorg repeat replace replication require resignal resource restore restrict
    return returning revert revoke right rlike role rollback row row_number rowcount rowguidcol rowid rownum rows
    rule save savepoint schema schemas second second_microsecond securityaudit select semantickeyphrasetable
    semanticsimilaritydetailstable semanticsimilaritytable sensitive separator sequence session session_user set
    setuser shared show shutdown signal similar size slow smallint some spatial specific sql sql_big_result
    sql_calc_found_rows sql_small_result sqlexception sqlstate sqlwarning ssl stable start starting statistics
    stats_auto_recalc stats_persistent stats_sample_pages stored straight_join stringsize stripe successful sum
    syb_identity syb_restree syb_terminate symmetric synadmin synonym sysdate system system_user systimestamp table
    tables tablesample temp temporary terminated textsize then ties time timestamp tinyblob tinyint tinytext to top
    trailing tran transaction trigger trim true truncate try_convert tsequal uid unbounded undo union unique unlock
    unpivot unsigned until update updatetext upper usage use user user_option using utc_date utc_time utc_timestamp
    vacuum validate value values varbinary varchar varchar2 varcharacter variadic varying verbose view views virtual
    waitfor when whenever where while window with within without work write writetext xmltable xor year year_month
    zerofill zone
"""
RESERVED = frozenset(_WORDS.split())
