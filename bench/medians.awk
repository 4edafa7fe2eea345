# medians.awk
#	The medians of what bench/run has written as CSV, a line for each:
#
#		figure side median unit
#
#	usage: awk -f bench/median.awk -f bench/medians.awk figures.csv...

BEGIN {
	FS = ","
}

/^#/ || $1 == "scenario" {
	next
}

{
	side = $2 " " $3
	if (!(side in count))
		order[++sides] = side
	values[side, ++count[side]] = $5
	unit[side] = $6
}

END {
	for (i = 1; i <= sides; i++)
		printf "%s %.10g %s\n", order[i], median(order[i]), unit[order[i]]
}
