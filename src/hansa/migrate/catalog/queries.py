"""What is read from the catalog: one statement for each kind of object.

The first column is the object's name in a snapshot, every other one an aspect of it, NULL where it does not apply.
Some columns are taken apart first: `acl` and `default_acl` become one object for each grantee, `options` and `settings` one aspect for
each entry, and `owner` is an aspect that also tells whose grants go without saying. Three only say how objects hang
together: "part of" names the object it cannot outlive, "inherited from" the one it copies, and "comes with" the aspect
of the object it is part of that brings it and takes it away.

Objects of an extension are left out, and so are the numbers by which PostgreSQL finds objects.
"""

from typing import LiteralString

# --- in a schema ------------------------------------------------------------------------------------------------------

_SCHEMAS = """
  SELECT 'schema ' || n.oid::regnamespace, n.nspowner::regrole::text AS owner, n.nspacl::text[] AS acl,
         d.description AS comment
  FROM pg_namespace AS n
  LEFT JOIN pg_description AS d ON d.objoid = n.oid AND d.classoid = 'pg_namespace'::regclass
  WHERE n.oid = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid AND e.deptype = 'e')
"""

_RELATION: LiteralString = """
  WITH relation AS NOT MATERIALIZED (
    SELECT c.*, c.oid::regclass::text AS name,
           CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'f' THEN 'foreign table '
                          ELSE 'table ' END || c.oid::regclass AS object
    FROM pg_class AS c
    WHERE c.relnamespace = ANY (%(schemas)s::oid[]) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
      AND NOT EXISTS (SELECT FROM pg_depend AS e
                      WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
  )
"""

_RELATIONS = (
    _RELATION
    + """
  SELECT r.object, r.relowner::regrole::text AS owner, r.relacl::text[] AS acl,
         r.reloptions || ARRAY(SELECT 'toast.' || option FROM unnest(toast.reloptions) AS option) AS options,
         CASE WHEN r.relkind IN ('r', 'p', 'm') THEN
           CASE r.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END END AS persistence,
         pg_get_partkeydef(r.oid) AS "partition key",
         CASE WHEN r.relispartition THEN 'table ' || above.inhparent::regclass
              ELSE 'schema ' || r.relnamespace::regnamespace END AS "part of",
         CASE WHEN r.relispartition THEN above.inhparent::regclass || ' ' || pg_get_expr(r.relpartbound, r.oid)
           || CASE WHEN above.inhdetachpending THEN ' (being detached)' ELSE '' END END AS "partition of",
         CASE WHEN NOT r.relispartition THEN
           (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
            FROM pg_inherits WHERE inhrelid = r.oid) END AS inherits,
         CASE WHEN r.relkind IN ('r', 'p') THEN
           CASE WHEN r.relrowsecurity THEN 'on' ELSE 'off' END END AS "row-level security",
         CASE WHEN r.relkind IN ('r', 'p') THEN
           CASE WHEN r.relforcerowsecurity THEN 'on' ELSE 'off' END END AS "forced row-level security",
         CASE WHEN r.relkind IN ('r', 'p', 'm') THEN
           CASE r.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full'
             ELSE 'index ' || coalesce((SELECT indexrelid::regclass::text FROM pg_index
                                        WHERE indrelid = r.oid AND indisreplident), 'that is gone')
           END END AS "replica identity",
         am.amname AS "access method", space.spcname AS tablespace,
         CASE WHEN r.reloftype <> 0 THEN format_type(r.reloftype, NULL) END AS "row type",
         CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END AS definition,
         CASE WHEN r.relkind = 'm' THEN CASE WHEN r.relispopulated THEN 'yes' ELSE 'no' END END AS populated,
         server.srvname AS server, array_to_string(ft.ftoptions, ', ') AS "foreign options",
         CASE WHEN r.relkind IN ('r', 'p', 'f') THEN
           (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped) END AS "column order",
         d.description AS comment
  FROM relation AS r
  LEFT JOIN pg_inherits AS above ON above.inhrelid = r.oid AND r.relispartition
  LEFT JOIN pg_class AS toast ON toast.oid = r.reltoastrelid
  LEFT JOIN pg_am AS am ON am.oid = r.relam
  LEFT JOIN pg_tablespace AS space ON space.oid = r.reltablespace
  LEFT JOIN pg_foreign_table AS ft ON ft.ftrelid = r.oid
  LEFT JOIN pg_foreign_server AS server ON server.oid = ft.ftserver
  LEFT JOIN pg_description AS d ON d.objoid = r.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
"""
)

# From PostgreSQL 18 on NOT NULL is a constraint of its own; its name is only told when it is not the usual one, so
# that databases on either side of that version compare equal.
_COLUMNS = (
    _RELATION
    + """
  SELECT 'column ' || r.name || '.' || quote_ident(a.attname), r.object AS "part of",
         CASE WHEN a.attinhcount > 0 THEN
           'column ' || above.inhparent::regclass || '.' || quote_ident(a.attname) END AS "inherited from",
         r.relowner::regrole::text AS owner_of_part, a.attacl::text[] AS acl,
         a.attoptions AS options,
         format_type(a.atttypid, a.atttypmod) AS type,
         CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
         CASE WHEN NOT a.attnotnull THEN 'allowed'
           ELSE concat('refused',
             CASE WHEN nn.connoinherit THEN ', here only' END,
             CASE WHEN NOT nn.convalidated THEN ', not validated' END,
             CASE WHEN NOT starts_with(reverse(nn.conname), reverse(concat('_', a.attname, '_not_null')))
                  THEN ', by constraint ' || quote_ident(nn.conname) END) END AS "null",
         CASE WHEN a.attgenerated = '' THEN pg_get_expr(ad.adbin, ad.adrelid) END AS "default",
         CASE a.attgenerated WHEN 's' THEN pg_get_expr(ad.adbin, ad.adrelid) || ' stored'
                             WHEN 'v' THEN pg_get_expr(ad.adbin, ad.adrelid) || ' virtual' END AS "generated value",
         CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
         CASE WHEN a.attstorage <> t.typstorage THEN
           CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main'
                             ELSE 'extended' END END AS storage,
         CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
         nullif(a.attstattarget, -1)::text AS "statistics target",
         array_to_string(a.attfdwoptions, ', ') AS "foreign options",
         d.description AS comment
  FROM relation AS r
  JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_inherits AS above ON above.inhrelid = r.oid AND above.inhseqno = 1
  LEFT JOIN pg_attrdef AS ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
  LEFT JOIN pg_constraint AS nn ON nn.conrelid = a.attrelid AND nn.contype = 'n' AND nn.conkey[1] = a.attnum
  LEFT JOIN pg_description AS d
    ON d.objoid = a.attrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum
  WHERE r.relkind IN ('r', 'p', 'f')
"""
)

# What a view's columns are is in its definition; only what is said about them besides is kept.
_VIEW_COLUMNS = (
    _RELATION
    + """
  SELECT 'column ' || r.name || '.' || quote_ident(a.attname), r.object AS "part of",
         r.relowner::regrole::text AS owner_of_part, a.attacl::text[] AS acl,
         pg_get_expr(ad.adbin, ad.adrelid) AS "default",
         nullif(a.attstattarget, -1)::text AS "statistics target",
         d.description AS comment
  FROM relation AS r
  JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef AS ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
  LEFT JOIN pg_description AS d
    ON d.objoid = a.attrelid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum
  WHERE r.relkind IN ('v', 'm')
    AND (a.attacl IS NOT NULL OR ad.oid IS NOT NULL OR a.attstattarget >= 0 OR d.description IS NOT NULL)
"""
)

# The index of a constraint says what the constraint does not: the rest would be told twice.
_INDEXES = (
    _RELATION
    + """
  SELECT 'index ' || i.indexrelid::regclass,
         coalesce('constraint ' || quote_ident(con.conname) || ' on ' || r.name, r.object) AS "part of",
         'index ' || above.inhparent::regclass AS "inherited from",
         CASE WHEN con.oid IS NULL THEN pg_get_indexdef(i.indexrelid) END AS definition,
         CASE WHEN con.oid IS NOT NULL THEN c.reloptions END AS options,
         CASE WHEN NOT i.indislive THEN 'half dropped' WHEN NOT i.indisready THEN 'not ready'
              WHEN NOT i.indisvalid THEN 'invalid' ELSE 'valid' END AS state,
         CASE WHEN i.indisclustered THEN 'yes' ELSE 'no' END AS clustered,
         space.spcname AS tablespace,
         (SELECT string_agg(attnum || ': ' || attstattarget, ', ' ORDER BY attnum) FROM pg_attribute
          WHERE attrelid = i.indexrelid AND attstattarget >= 0) AS "statistics target",
         d.description AS comment
  FROM relation AS r
  JOIN pg_index AS i ON i.indrelid = r.oid
  JOIN pg_class AS c ON c.oid = i.indexrelid
  LEFT JOIN pg_constraint AS con ON con.conindid = i.indexrelid AND con.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_inherits AS above ON above.inhrelid = i.indexrelid
  LEFT JOIN pg_tablespace AS space ON space.oid = c.reltablespace
  LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
"""
)

# A foreign key to a partitioned table has a copy for each partition, on the same table and under a name that counts:
# they are the same key again. The triggers behind a key can be switched off, and then it keeps nothing.
_CONSTRAINTS: LiteralString = (
    _RELATION
    + """
  SELECT 'constraint ' || quote_ident(con.conname) || ' on ' || r.name, r.object AS "part of",
         CASE WHEN original.oid IS NOT NULL
                THEN 'constraint ' || quote_ident(original.conname) || ' on ' || original.conrelid::regclass
              WHEN con.coninhcount > 0
                THEN 'constraint ' || quote_ident(con.conname) || ' on ' || above.inhparent::regclass
         END AS "inherited from",
         regexp_replace(pg_get_constraintdef(con.oid),
           '( DEFERRABLE)?( INITIALLY DEFERRED)?( NOT ENFORCED| NOT VALID)?$', '') AS definition,
         CASE WHEN con.convalidated OR NOT {enforced} THEN 'yes' ELSE 'no' END AS validated,
         CASE WHEN con.condeferred THEN 'yes, and deferred' WHEN con.condeferrable THEN 'yes' ELSE 'no' END
           AS deferrable,
         CASE WHEN {enforced} THEN 'yes' ELSE 'no' END AS enforced,
         CASE WHEN con.contype = 'f' THEN
           CASE WHEN EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgconstraint = con.oid AND t.tgenabled = 'D')
                THEN 'disabled' ELSE 'enabled' END END AS triggers,
         d.description AS comment
  FROM relation AS r
  JOIN pg_constraint AS con ON con.conrelid = r.oid AND con.contype IN ('c', 'f', 'p', 'u', 'x')
  LEFT JOIN pg_constraint AS original ON original.oid = con.conparentid
  LEFT JOIN pg_inherits AS above ON above.inhrelid = r.oid AND above.inhseqno = 1
  LEFT JOIN pg_description AS d ON d.objoid = con.oid AND d.classoid = 'pg_constraint'::regclass
  WHERE original.conrelid IS DISTINCT FROM con.conrelid
"""
)

_TRIGGERS = (
    _RELATION
    + """
  SELECT 'trigger ' || quote_ident(t.tgname) || ' on ' || r.name, r.object AS "part of",
         CASE WHEN original.oid IS NOT NULL
              THEN 'trigger ' || quote_ident(original.tgname) || ' on ' || original.tgrelid::regclass
         END AS "inherited from",
         CASE WHEN original.oid IS NOT NULL THEN 'partition of' END AS "comes with",
         pg_get_triggerdef(t.oid) AS definition,
         CASE t.tgenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas only'
                          ELSE 'enabled always' END AS state,
         d.description AS comment
  FROM relation AS r
  JOIN pg_trigger AS t ON t.tgrelid = r.oid AND NOT t.tgisinternal
  LEFT JOIN pg_trigger AS original ON original.oid = t.tgparentid
  LEFT JOIN pg_description AS d ON d.objoid = t.oid AND d.classoid = 'pg_trigger'::regclass
"""
)

_RULES = (
    _RELATION
    + """
  SELECT 'rule ' || quote_ident(w.rulename) || ' on ' || r.name, r.object AS "part of",
         pg_get_ruledef(w.oid) AS definition,
         CASE w.ev_enabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas only'
                           ELSE 'enabled always' END AS state,
         d.description AS comment
  FROM relation AS r
  JOIN pg_rewrite AS w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'
  LEFT JOIN pg_description AS d ON d.objoid = w.oid AND d.classoid = 'pg_rewrite'::regclass
"""
)

_POLICIES = (
    _RELATION
    + """
  SELECT 'policy ' || quote_ident(p.polname) || ' on ' || r.name, r.object AS "part of",
         CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                       ELSE 'ALL' END AS command,
         CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END AS kind,
         (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', '
                            ORDER BY role::regrole::text)
          FROM unnest(p.polroles) AS role) AS roles,
         pg_get_expr(p.polqual, p.polrelid) AS "USING expression",
         pg_get_expr(p.polwithcheck, p.polrelid) AS "WITH CHECK expression",
         d.description AS comment
  FROM relation AS r
  JOIN pg_policy AS p ON p.polrelid = r.oid
  LEFT JOIN pg_description AS d ON d.objoid = p.oid AND d.classoid = 'pg_policy'::regclass
"""
)

_STATISTICS = (
    _RELATION
    + """
  SELECT 'statistics ' || quote_ident(n.nspname) || '.' || quote_ident(s.stxname), r.object AS "part of",
         s.stxowner::regrole::text AS owner,
         pg_get_statisticsobjdef(s.oid) AS definition,
         nullif(s.stxstattarget, -1)::text AS target,
         d.description AS comment
  FROM relation AS r
  JOIN pg_statistic_ext AS s ON s.stxrelid = r.oid
  JOIN pg_namespace AS n ON n.oid = s.stxnamespace
  LEFT JOIN pg_description AS d ON d.objoid = s.oid AND d.classoid = 'pg_statistic_ext'::regclass
"""
)

# An owned sequence takes owner and persistence from the table.
_SEQUENCES = """
  SELECT 'sequence ' || c.oid::regclass,
         coalesce('column ' || owned.refobjid::regclass || '.' || quote_ident(a.attname),
                  'schema ' || c.relnamespace::regnamespace) AS "part of",
         'table ' || owned.refobjid::regclass AS "inherited from",
         CASE WHEN owned.deptype = 'i' THEN 'identity' END AS "comes with",
         c.relowner::regrole::text AS owner, c.relacl::text[] AS acl,
         format_type(s.seqtypid, NULL) AS type, s.seqstart::text AS start, s.seqincrement::text AS increment,
         s.seqmin::text AS minimum, s.seqmax::text AS maximum, s.seqcache::text AS cache,
         CASE WHEN s.seqcycle THEN 'yes' ELSE 'no' END AS cycle,
         CASE c.relpersistence WHEN 'u' THEN 'unlogged' ELSE 'permanent' END AS persistence,
         owned.refobjid::regclass || '.' || quote_ident(a.attname) AS "owning column",
         d.description AS comment
  FROM pg_class AS c
  JOIN pg_sequence AS s ON s.seqrelid = c.oid
  LEFT JOIN pg_depend AS owned
    ON owned.classid = 'pg_class'::regclass AND owned.objid = c.oid AND owned.objsubid = 0
    AND owned.refclassid = 'pg_class'::regclass AND owned.refobjsubid > 0 AND owned.deptype IN ('a', 'i')
  LEFT JOIN pg_attribute AS a ON a.attrelid = owned.refobjid AND a.attnum = owned.refobjsubid
  LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
  WHERE c.relnamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_class'::regclass AND e.objid IN (c.oid, owned.refobjid) AND e.deptype = 'e')
"""

_ROUTINES = """
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
           || p.oid::regprocedure,
         'schema ' || p.pronamespace::regnamespace AS "part of",
         p.proowner::regrole::text AS owner, p.proacl::text[] AS acl, p.proconfig AS settings,
         pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS "return type",
         CASE p.prokind WHEN 'w' THEN 'window' END AS kind,
         l.lanname AS language,
         CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
         CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END AS security,
         CASE WHEN p.proisstrict THEN 'yes' ELSE 'no' END AS strict,
         CASE WHEN p.proleakproof THEN 'yes' ELSE 'no' END AS leakproof,
         CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel,
         p.procost::text AS cost, nullif(p.prorows, 0)::text AS rows,
         nullif(p.prosupport, 0)::regprocedure::text AS "support function",
         array_to_string(ARRAY(SELECT format_type(t, NULL) FROM unnest(p.protrftypes) AS t), ', ') AS transforms,
         CASE WHEN g.aggfnoid IS NULL THEN coalesce(pg_get_function_sqlbody(p.oid), concat_ws(':', p.probin, p.prosrc))
           ELSE concat_ws(E'\\n', 'SFUNC ' || g.aggtransfn, 'STYPE ' || format_type(g.aggtranstype, NULL),
             'SSPACE ' || g.aggtransspace, 'FINALFUNC ' || nullif(g.aggfinalfn, 0)::regproc,
             'FINALFUNC_EXTRA ' || g.aggfinalextra, 'FINALFUNC_MODIFY ' || g.aggfinalmodify::text,
             'COMBINEFUNC ' || nullif(g.aggcombinefn, 0)::regproc, 'SERIALFUNC ' || nullif(g.aggserialfn, 0)::regproc,
             'DESERIALFUNC ' || nullif(g.aggdeserialfn, 0)::regproc, 'INITCOND ' || g.agginitval,
             'MSFUNC ' || nullif(g.aggmtransfn, 0)::regproc, 'MINVFUNC ' || nullif(g.aggminvtransfn, 0)::regproc,
             'MSTYPE ' || format_type(nullif(g.aggmtranstype, 0), NULL), 'MSSPACE ' || g.aggmtransspace,
             'MFINALFUNC ' || nullif(g.aggmfinalfn, 0)::regproc, 'MFINALFUNC_EXTRA ' || g.aggmfinalextra,
             'MFINALFUNC_MODIFY ' || g.aggmfinalmodify::text, 'MINITCOND ' || g.aggminitval,
             'SORTOP ' || nullif(g.aggsortop, 0)::regoperator, 'KIND ' || g.aggkind::text, 'DIRECT ' || g.aggnumdirectargs)
         END AS body,
         d.description AS comment
  FROM pg_proc AS p
  JOIN pg_language AS l ON l.oid = p.prolang
  LEFT JOIN pg_aggregate AS g ON g.aggfnoid = p.oid
  LEFT JOIN pg_description AS d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass
  WHERE p.pronamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype IN ('e', 'i'))
"""

_TYPES = """
  SELECT CASE t.typtype WHEN 'e' THEN 'enum ' WHEN 'd' THEN 'domain ' WHEN 'r' THEN 'range ' ELSE 'type ' END
           || t.oid::regtype,
         'schema ' || t.typnamespace::regnamespace AS "part of",
         t.typowner::regrole::text AS owner, t.typacl::text[] AS acl,
         (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
          FROM pg_enum WHERE enumtypid = t.oid) AS labels,
         CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS "base type",
         CASE WHEN t.typtype = 'd' THEN CASE WHEN NOT t.typnotnull THEN 'allowed' ELSE 'refused' END END AS "null",
         CASE WHEN t.typtype = 'd' THEN coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)) END
           AS "default",
         CASE WHEN t.typtype = 'd' AND t.typcollation <> base.typcollation THEN t.typcollation::regcollation::text END
           AS collation,
         CASE WHEN t.typtype = 'c' THEN
           (SELECT coalesce(string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
              || CASE WHEN attcollation NOT IN (0, 100) THEN ' COLLATE ' || attcollation::regcollation ELSE '' END,
              ', ' ORDER BY attnum), '')
            FROM pg_attribute WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped) END AS attributes,
         CASE WHEN t.typtype = 'r' THEN
           concat_ws(', ', 'subtype ' || format_type(g.rngsubtype, NULL),
             'multirange ' || format_type(g.rngmultitypid, NULL),
             'operator class ' || (SELECT opcname FROM pg_opclass WHERE oid = g.rngsubopc),
             'collation ' || nullif(g.rngcollation, 0)::regcollation,
             'canonical ' || nullif(g.rngcanonical, 0)::regproc,
             'subtype difference ' || nullif(g.rngsubdiff, 0)::regproc) END AS definition,
         CASE WHEN t.typtype = 'b' THEN
           concat_ws(', ', 'input ' || t.typinput, 'output ' || t.typoutput, 'receive ' || nullif(t.typreceive, 0)::regproc,
             'send ' || nullif(t.typsend, 0)::regproc, 'length ' || t.typlen, 'by value ' || t.typbyval,
             'alignment ' || t.typalign::text, 'storage ' || t.typstorage::text, 'category ' || t.typcategory::text) END AS "base functions",
         d.description AS comment
  FROM pg_type AS t
  LEFT JOIN pg_class AS c ON c.oid = t.typrelid
  LEFT JOIN pg_type AS base ON base.oid = t.typbasetype
  LEFT JOIN pg_range AS g ON g.rngtypid = t.oid
  LEFT JOIN pg_description AS d ON d.objoid = t.oid AND d.classoid = 'pg_type'::regclass
  WHERE t.typnamespace = ANY (%(schemas)s::oid[])
    AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c' OR t.typtype IN ('b', 'p') AND t.typcategory <> 'A')
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
"""

_DOMAIN_CONSTRAINTS = """
  SELECT 'constraint ' || quote_ident(con.conname) || ' on ' || t.oid::regtype,
         'domain ' || t.oid::regtype AS "part of",
         regexp_replace(pg_get_constraintdef(con.oid), ' NOT VALID$', '') AS definition,
         CASE WHEN con.convalidated THEN 'yes' ELSE 'no' END AS validated,
         d.description AS comment
  FROM pg_type AS t
  JOIN pg_constraint AS con ON con.contypid = t.oid AND con.contype = 'c'
  LEFT JOIN pg_description AS d ON d.objoid = con.oid AND d.classoid = 'pg_constraint'::regclass
  WHERE t.typnamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
"""

_OPERATORS = """
  SELECT 'operator ' || o.oid::regoperator, o.oprowner::regrole::text AS owner,
         'schema ' || o.oprnamespace::regnamespace AS "part of",
         concat_ws(', ', 'function ' || o.oprcode, 'commutator ' || nullif(o.oprcom, 0)::regoperator,
           'negator ' || nullif(o.oprnegate, 0)::regoperator, 'restrict ' || nullif(o.oprrest, 0)::regproc,
           'join ' || nullif(o.oprjoin, 0)::regproc, CASE WHEN o.oprcanhash THEN 'hashes' END,
           CASE WHEN o.oprcanmerge THEN 'merges' END) AS definition,
         d.description AS comment
  FROM pg_operator AS o
  LEFT JOIN pg_description AS d ON d.objoid = o.oid AND d.classoid = 'pg_operator'::regclass
  WHERE o.oprnamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_operator'::regclass AND e.objid = o.oid AND e.deptype = 'e')
"""

_OPERATOR_CLASSES = """
  SELECT 'operator class ' || quote_ident(n.nspname) || '.' || quote_ident(o.opcname) || ' using ' || am.amname,
         o.opcowner::regrole::text AS owner,
         'schema ' || o.opcnamespace::regnamespace AS "part of",
         concat_ws(', ', 'type ' || format_type(o.opcintype, NULL), CASE WHEN o.opcdefault THEN 'default' END,
           (SELECT string_agg(amopstrategy || ' ' || amopopr::regoperator, ', ' ORDER BY amopstrategy, amopopr::regoperator::text)
            FROM pg_amop WHERE amopfamily = o.opcfamily),
           (SELECT string_agg(amprocnum || ' ' || amproc::regprocedure, ', ' ORDER BY amprocnum, amproc::regprocedure::text)
            FROM pg_amproc WHERE amprocfamily = o.opcfamily)) AS definition,
         d.description AS comment
  FROM pg_opclass AS o
  JOIN pg_namespace AS n ON n.oid = o.opcnamespace
  JOIN pg_am AS am ON am.oid = o.opcmethod
  LEFT JOIN pg_description AS d ON d.objoid = o.oid AND d.classoid = 'pg_opclass'::regclass
  WHERE o.opcnamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_opclass'::regclass AND e.objid = o.oid AND e.deptype = 'e')
"""

_COLLATIONS = """
  SELECT 'collation ' || c.oid::regcollation, c.collowner::regrole::text AS owner,
         'schema ' || c.collnamespace::regnamespace AS "part of",
         concat_ws(', ', 'provider ' || c.collprovider::text,
           'locale ' || coalesce(c.collcollate, to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'),
           'ctype ' || c.collctype, 'rules ' || (to_jsonb(c) ->> 'collicurules'),
           CASE WHEN NOT c.collisdeterministic THEN 'not deterministic' END) AS definition,
         d.description AS comment
  FROM pg_collation AS c
  LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_collation'::regclass
  WHERE c.collnamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_collation'::regclass AND e.objid = c.oid AND e.deptype = 'e')
"""

_TEXT_SEARCH = """
  SELECT 'text search configuration ' || c.oid::regconfig, c.cfgowner::regrole::text AS owner,
         'schema ' || c.cfgnamespace::regnamespace AS "part of",
         concat_ws(', ', 'parser ' || p.prsname,
           (SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary, ', ' ORDER BY m.maptokentype, m.mapseqno)
            FROM pg_ts_config_map AS m WHERE m.mapcfg = c.oid)) AS definition,
         d.description AS comment
  FROM pg_ts_config AS c
  JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
  LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_ts_config'::regclass
  WHERE c.cfgnamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_ts_config'::regclass AND e.objid = c.oid AND e.deptype = 'e')
  UNION ALL
  SELECT 'text search dictionary ' || t.oid::regdictionary, t.dictowner::regrole::text, 'schema ' || t.dictnamespace::regnamespace,
         concat_ws(', ', 'template ' || p.tmplname, t.dictinitoption),
         d.description
  FROM pg_ts_dict AS t
  JOIN pg_ts_template AS p ON p.oid = t.dicttemplate
  LEFT JOIN pg_description AS d ON d.objoid = t.oid AND d.classoid = 'pg_ts_dict'::regclass
  WHERE t.dictnamespace = ANY (%(schemas)s::oid[])
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_ts_dict'::regclass AND e.objid = t.oid AND e.deptype = 'e')
"""

# --- of the whole database --------------------------------------------------------------------------------------------

_DATABASE = """
  SELECT 'database', d.datdba::regrole::text AS owner, d.datacl::text[] AS acl,
         pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collation, d.datctype AS "character type",
         d.datlocprovider::text AS "locale provider",
         coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale,
         nullif(d.datconnlimit, -1)::text AS "connection limit",
         shobj_description(d.oid, 'pg_database') AS comment
  FROM pg_database AS d
  WHERE d.datname = current_database()
"""

_SETTINGS = """
  SELECT 'setting ' || split_part(entry, '=', 1)
           || CASE s.setrole WHEN 0 THEN '' ELSE ' of role ' || s.setrole::regrole END,
         substr(entry, strpos(entry, '=') + 1) AS value
  FROM pg_db_role_setting AS s
  CROSS JOIN unnest(s.setconfig) AS entry
  WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_EXTENSIONS = """
  SELECT 'extension ' || quote_ident(x.extname), x.extowner::regrole::text AS owner,
         x.extversion AS version, x.extnamespace::regnamespace::text AS schema,
         d.description AS comment
  FROM pg_extension AS x
  LEFT JOIN pg_description AS d ON d.objoid = x.oid AND d.classoid = 'pg_extension'::regclass
"""

_EVENT_TRIGGERS = """
  SELECT 'event trigger ' || quote_ident(t.evtname), t.evtowner::regrole::text AS owner,
         concat_ws(' ', 'on', t.evtevent, 'when tag in ' || array_to_string(t.evttags, ', '),
           'execute ' || t.evtfoid::regprocedure) AS definition,
         CASE t.evtenabled WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas only'
                           ELSE 'enabled always' END AS state,
         d.description AS comment
  FROM pg_event_trigger AS t
  LEFT JOIN pg_description AS d ON d.objoid = t.oid AND d.classoid = 'pg_event_trigger'::regclass
  WHERE NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_event_trigger'::regclass AND e.objid = t.oid AND e.deptype = 'e')
"""

_PUBLICATIONS = """
  SELECT 'publication ' || quote_ident(p.pubname), p.pubowner::regrole::text AS owner,
         concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
           CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END) AS operations,
         CASE WHEN p.pubviaroot THEN 'yes' ELSE 'no' END AS "publication through the root",
         nullif(to_jsonb(p) ->> 'pubgencols', 'n') AS "generated columns",
         CASE WHEN p.puballtables THEN 'all' ELSE
           (SELECT string_agg(pr.prrelid::regclass
                     || coalesce(' (' || (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname)
                                          FROM pg_attribute
                                          WHERE attrelid = pr.prrelid AND attnum = ANY (pr.prattrs)) || ')', '')
                     || coalesce(' WHERE ' || pg_get_expr(pr.prqual, pr.prrelid), ''),
                   ', ' ORDER BY pr.prrelid::regclass::text)
            FROM pg_publication_rel AS pr WHERE pr.prpubid = p.oid) END AS tables,
         (SELECT string_agg(pn.pnnspid::regnamespace::text, ', ' ORDER BY pn.pnnspid::regnamespace::text)
          FROM pg_publication_namespace AS pn WHERE pn.pnpubid = p.oid) AS schemas,
         d.description AS comment
  FROM pg_publication AS p
  LEFT JOIN pg_description AS d ON d.objoid = p.oid AND d.classoid = 'pg_publication'::regclass
"""

_SUBSCRIPTIONS = """
  SELECT 'subscription ' || quote_ident(s.subname), s.subowner::regrole::text AS owner,
         CASE WHEN s.subenabled THEN 'enabled' ELSE 'disabled' END AS state,
         array_to_string(s.subpublications, ', ') AS publications, s.subslotname AS slot
  FROM pg_subscription AS s
  WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

_CASTS = """
  SELECT 'cast from ' || format_type(c.castsource, NULL) || ' to ' || format_type(c.casttarget, NULL),
         concat_ws(', ',
           CASE c.castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'in assignments' ELSE 'implicit' END,
           CASE c.castmethod WHEN 'f' THEN 'by ' || c.castfunc::regprocedure WHEN 'i' THEN 'by text form'
                             ELSE 'as it stands' END) AS definition,
         d.description AS comment
  FROM pg_cast AS c
  LEFT JOIN pg_description AS d ON d.objoid = c.oid AND d.classoid = 'pg_cast'::regclass
  WHERE c.oid >= 16384
    AND NOT EXISTS (SELECT FROM pg_depend AS e
                    WHERE e.classid = 'pg_cast'::regclass AND e.objid = c.oid AND e.deptype IN ('e', 'i'))
"""

_LANGUAGES = """
  SELECT 'language ' || quote_ident(l.lanname), l.lanowner::regrole::text AS owner, l.lanacl::text[] AS acl,
         CASE WHEN l.lanpltrusted THEN 'yes' ELSE 'no' END AS trusted,
         d.description AS comment
  FROM pg_language AS l
  LEFT JOIN pg_description AS d ON d.objoid = l.oid AND d.classoid = 'pg_language'::regclass
  WHERE l.lanispl
"""

# What a mapping says to the other server may be a password, so only that there is one is kept.
_FOREIGN_SERVERS = """
  SELECT 'foreign server ' || quote_ident(s.srvname), s.srvowner::regrole::text AS owner, s.srvacl::text[] AS acl,
         w.fdwname AS wrapper, s.srvtype AS type, s.srvversion AS version,
         array_to_string(s.srvoptions, ', ') AS "foreign options",
         (SELECT string_agg(CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE m.umuser::regrole::text END, ', '
                            ORDER BY m.umuser::regrole::text)
          FROM pg_user_mappings AS m WHERE m.srvid = s.oid) AS "mapped users",
         d.description AS comment
  FROM pg_foreign_server AS s
  JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
  LEFT JOIN pg_description AS d ON d.objoid = s.oid AND d.classoid = 'pg_foreign_server'::regclass
"""

_DEFAULT_PRIVILEGES = """
  SELECT 'future ' || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'routines'
                                           WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END
           || ' of ' || d.defaclrole::regrole
           || CASE d.defaclnamespace WHEN 0 THEN '' ELSE ' in schema ' || d.defaclnamespace::regnamespace END,
         'schema ' || nullif(d.defaclnamespace, 0)::regnamespace AS "part of",
         d.defaclacl::text[] AS default_acl
  FROM pg_default_acl AS d
  WHERE d.defaclnamespace = ANY (%(schemas)s::oid[]) OR (%(everything)s AND d.defaclnamespace = 0)
"""


def queries(server_version: int, *, everything: bool) -> tuple[bytes, ...]:
    """The statements for this server; `everything` adds what belongs to no schema."""
    enforced = "con.conenforced" if server_version >= 180000 else "true"
    in_schemas = (
        _SCHEMAS,
        _RELATIONS,
        _COLUMNS,
        _VIEW_COLUMNS,
        _INDEXES,
        _CONSTRAINTS.replace("{enforced}", enforced),
        _TRIGGERS,
        _RULES,
        _POLICIES,
        _STATISTICS,
        _SEQUENCES,
        _ROUTINES,
        _TYPES,
        _DOMAIN_CONSTRAINTS,
        _OPERATORS,
        _OPERATOR_CLASSES,
        _COLLATIONS,
        _TEXT_SEARCH,
        _DEFAULT_PRIVILEGES,
    )
    of_the_database = (
        _DATABASE,
        _SETTINGS,
        _EXTENSIONS,
        _EVENT_TRIGGERS,
        _PUBLICATIONS,
        _SUBSCRIPTIONS,
        _CASTS,
        _LANGUAGES,
        _FOREIGN_SERVERS,
    )
    return tuple(text.encode() for text in in_schemas + (of_the_database if everything else ()))
