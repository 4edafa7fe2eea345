# median.awk
#	The median of values[side, 1] to values[side, count[side]], for the scripts
#	beside it.

function median(side,	n, i, j, t, v)
{
	n = count[side]
	for (i = 1; i <= n; i++)
		v[i] = values[side, i]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j - 1] > v[j]; j--)
		{
			t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
		}
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
