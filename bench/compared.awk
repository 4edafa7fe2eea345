# compared.awk
#	Rows of the documents' tables, of what bench/run has written as CSV and of a
#	list of what to compare; for bench/tables, which says what the list's lines
#	look like.
#
#	usage: awk -v form=full|short -f bench/median.awk -f bench/compared.awk \
#		figures.csv list

# The ratio of two sides' medians into RATIO, the rounds' lowest and highest
# into LOWEST and HIGHEST; false if there is none.
function compare(side1, side2,	i, r)
{
	if (!(side1 in count) || !(side2 in count))
		return 0
	RATIO = median(side1) / median(side2)
	LOWEST = HIGHEST = RATIO
	for (i = 1; i <= count[side1] && i <= count[side2]; i++)
	{
		r = values[side1, i] / values[side2, i]
		if (i == 1 || r < LOWEST)
			LOWEST = r
		if (i == 1 || r > HIGHEST)
			HIGHEST = r
	}
	return 1
}

# "" if there was one round only
function rounds(side, digits)
{
	return count[side] < 2 ? "" : \
		sprintf("%.*f to %.*f", digits, LOWEST, digits, HIGHEST)
}

# three digits that count, thousands apart
function number(x,	n, rest)
{
	if (x < 0.995)
		return sprintf("%.2f", x)
	if (x < 99.5)
		return sprintf(x < 9.95 ? "%.1f" : "%.0f", x)
	n = sprintf("%.0f", x)
	while (length(n) > 3)
	{
		rest = "," substr(n, length(n) - 2) rest
		n = substr(n, 1, length(n) - 3)
	}
	return n rest
}

function full_row(what, against, digits, aim, figure,	part, limit, at_least, text)
{
	split(figure, part, " ")
	if (!compare(part[1] " " part[2], part[1] " " part[3]))
		return
	text = ""
	if (aim != "")
	{
		at_least = aim ~ /^>=/
		limit = aim
		sub(/^.= */, "", limit)
		limit += 0
		limit += 0
		text = (at_least ? "at least " : "at most ") limit
		if (at_least ? RATIO < limit : RATIO > limit)
			text = "**" text ": missed**"
	}
	printf "| %s | %s | %.*f | %s | %s |\n", what, against, digits, RATIO, \
		rounds(part[1] " " part[2], digits), text
}

function short_row(what, unit, factor, figure,	part, without, ours, group, digits)
{
	split(figure, part, " ")
	without = part[1] " " part[2]
	ours = part[1] " " part[3]
	if (unit == "per second" ? !compare(ours, without) : !compare(without, ours))
		return
	group = RATIO >= 1.05 ? 1 : RATIO > 1 / 1.05 ? 2 : 3
	digits = RATIO >= 3 ? 1 : 2
	rows[group] = rows[group] sprintf("| %s | %s | %s | %s | **%.*f** | %s |\n", what, unit, \
		number(median(without) * factor), number(median(ours) * factor), digits, RATIO, \
		rounds(ours, digits))
}

FNR == 1 {
	file++
	FS = file == 1 ? "," : " *[|] *"
	$0 = $0
}

file == 1 && !/^#/ && $1 != "scenario" {
	values[$2 " " $3, ++count[$2 " " $3]] = $5
}

file == 2 && form == "full" {
	full_row($1, $2, $3, $4, $5)
}

file == 2 && form == "short" {
	short_row($1, $2, $3, $4)
}

END {
	split("faster,the same,slower", name, ",")
	for (group = 1; group <= 3; group++)
		if (rows[group] != "")
			printf "| *%s* | | | | | |\n%s", name[group], rows[group]
}
