SELECT 'the movements of a hold are found by an index',
       EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('credits.movements_of_a_hold') AND indisvalid);
