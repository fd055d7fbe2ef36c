package groups

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// column is one column of a printed report.
type column struct {
	head  string
	right bool // a number, aligned to the right
	cell  func(Row) string
}

// columns leaves out what no row has: the number of tensors if nothing was
// folded, the rates if the report was made without.
func (r *Report) columns() []column {
	folded, rated := false, false
	for _, row := range r.Rows {
		folded = folded || row.Tensors > 1
		rated = rated || row.Rate != nil
	}
	cs := []column{{"name", false, func(r Row) string { return r.Name }}}
	if folded {
		cs = append(cs, column{"tensors", true, func(r Row) string { return strconv.Itoa(r.Tensors) }})
	}
	cs = append(cs,
		column{"shape", false, func(r Row) string { return shapeText(r.Shape) }},
		column{"count", true, func(r Row) string { return strconv.Itoa(r.Count) }},
		column{"role", false, func(r Row) string { return r.Role.String() }},
		column{"group", false, func(r Row) string { return r.Group }},
		column{"lr mult", true, func(r Row) string {
			if r.Group == frozen {
				return ""
			}
			return number(r.LRMult)
		}},
	)
	if rated {
		cs = append(cs,
			rateColumn("lr", func(r Rate) float64 { return r.LR }),
			rateColumn("lambda", func(r Rate) float64 { return r.Lambda }),
			rateColumn("shrink/step", func(r Rate) float64 { return r.Shrink }),
			rateColumn("tau (steps)", Rate.Tau),
		)
	}
	return append(cs, column{"why", false, func(r Row) string {
		if r.Rate == nil || r.Rate.Note == "" {
			return r.Why
		}
		return r.Why + "; NOTE: " + r.Rate.Note
	}})
}

func rateColumn(head string, value func(Rate) float64) column {
	return column{head, true, func(r Row) string {
		if r.Rate == nil {
			return ""
		}
		return number(value(*r.Rate))
	}}
}

// lines are the cells of every row, and a line for each alias.
func (r *Report) lines(cs []column) [][]string {
	var out [][]string
	for _, row := range r.Rows {
		line := make([]string, len(cs))
		for i, c := range cs {
			line[i] = c.cell(row)
		}
		out = append(out, line)
		for _, alias := range row.Aliases {
			tied := make([]string, len(cs))
			tied[0], tied[len(cs)-1] = alias, "tied to "+row.Name
			out = append(out, tied)
		}
	}
	return out
}

// WriteText writes the report as an aligned table with totals below.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "policy %s", r.Policy)
	if r.Source != "" {
		fmt.Fprintf(&b, " (%s)", r.Source)
	}
	b.WriteByte('\n')
	cs := r.columns()
	table := [][]string{make([]string, len(cs))}
	for i, c := range cs {
		table[0][i] = c.head
	}
	table = append(table, r.lines(cs)...)
	widths := make([]int, len(cs))
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range table {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == len(cs)-1:
				b.WriteString(cell)
			case cs[i].right:
				b.WriteString(pad + cell + "  ")
			default:
				b.WriteString(cell + pad + "  ")
			}
		}
		b.WriteByte('\n')
	}
	for _, t := range r.Totals {
		fmt.Fprintf(&b, "%s: %d tensors, %d parameters\n", t.Group, t.Tensors, t.Count)
	}
	_, err := b.WriteTo(w)
	return err
}

// WriteMarkdown writes the report as a Markdown table with totals below.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Policy **%s**", escapeMarkdown(r.Policy))
	if r.Source != "" {
		fmt.Fprintf(&b, ": %s", escapeMarkdown(r.Source))
	}
	b.WriteString("\n\n|")
	cs := r.columns()
	for _, c := range cs {
		b.WriteString(" " + c.head + " |")
	}
	b.WriteString("\n|")
	for _, c := range cs {
		b.WriteString(map[bool]string{false: "---|", true: "---:|"}[c.right])
	}
	b.WriteByte('\n')
	for _, line := range r.lines(cs) {
		b.WriteByte('|')
		for _, cell := range line {
			b.WriteString(" " + escapeMarkdown(cell) + " |")
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	for _, t := range r.Totals {
		fmt.Fprintf(&b, "- **%s**: %d tensors, %d parameters\n", escapeMarkdown(t.Group), t.Tensors, t.Count)
	}
	_, err := b.WriteTo(w)
	return err
}

func shapeText(shape []int) string {
	parts := make([]string, len(shape))
	for i, d := range shape {
		parts[i] = strconv.Itoa(d)
	}
	return "(" + strings.Join(parts, ",") + ")"
}

// number prints six digits at most, which hides the rounding of 1e-3 * 0.1.
func number(x float64) string {
	if math.IsInf(x, 1) {
		return "never"
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

func escapeMarkdown(s string) string { return markdown.Replace(s) }

var markdown = strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;")
