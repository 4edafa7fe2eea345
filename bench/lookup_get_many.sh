# shellcheck shell=bash
#
# A thousand arrays of a thousand random keys each, in a thousand prepared
# statements with the array as parameter.

want_server itemcache.memory=640MB
want_cached items
begin_values

bench_function()
{
	sql "CREATE OR REPLACE FUNCTION $1() RETURNS bigint LANGUAGE plpgsql AS \$\$
		DECLARE
			batch record;
			n bigint;
			total bigint := 0;
		BEGIN
			FOR batch IN SELECT ids FROM batches LOOP
				$2 INTO n;
				total := total + n;
			END LOOP;
			RETURN total;
		END \$\$"
}

# A key that comes twice in an array is found twice by get_many() and once by
# ANY: so these are counted once, by keeping arrays without duplicates.
sql "UPDATE batches SET ids = (SELECT array_agg(DISTINCT k ORDER BY k) FROM unnest(ids) k)
	 WHERE cardinality(ids) > (SELECT count(DISTINCT k) FROM unnest(ids) k)" \
	"UPDATE batches SET ids = (SELECT array_agg(k ORDER BY hashint8(k)) FROM unnest(ids) k)" \
	"VACUUM (FULL, FREEZE, ANALYZE) batches"
bench_function any_1000 "SELECT count(name) FROM items WHERE id = ANY (batch.ids)"
bench_function get_many_1000 "SELECT count(i.name) FROM itemcache.get_many(NULL::items, batch.ids) i"

race "$(rounds 1 7)" "" any "SELECT any_1000()" get_many "SELECT get_many_1000()"
report "get_many, arrays of 1000 keys: speed" "id = ANY (array)" at_least 3 any get_many
