# medians.awk
#	The medians of what bench/run has written as CSV, a line for each:
#
#		figure side median unit
#
#	usage: awk -f bench/medians.awk figures.csv...

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

function median(side, n,	i, j, t, v)
{
	for (i = 1; i <= n; i++)
		v[i] = values[side, i]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j - 1] > v[j]; j--)
		{
			t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
		}
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

END {
	for (i = 1; i <= sides; i++)
		printf "%s %.10g %s\n", order[i], median(order[i], count[order[i]]), unit[order[i]]
}
