SELECT 'the events of one key are read in their order from an index, delivered ones too',
       EXISTS (SELECT
                 FROM pg_index AS i
                WHERE i.indexrelid = to_regclass('ops.outbox_by_key')
                  AND i.indrelid = 'ops.outbox'::regclass
                  AND i.indisvalid
                  AND i.indpred IS NULL
                  AND pg_get_indexdef(i.indexrelid, 1, true) = 'ordering_key'
                  AND pg_get_indexdef(i.indexrelid, 2, true) = 'id');
