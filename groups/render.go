package groups

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteText writes the report as an aligned table with totals below.
func (r *Report) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "policy %s", r.Policy)
	if r.Source != "" {
		fmt.Fprintf(tw, " (%s)", r.Source)
	}
	fmt.Fprintln(tw)
	for _, line := range r.table() {
		fmt.Fprintln(tw, strings.Join(line, "\t"))
	}
	for _, t := range r.Totals {
		fmt.Fprintf(tw, "%s: %d tensors, %d parameters\n", t.Group, t.Tensors, t.Count)
	}
	return tw.Flush()
}

// WriteMarkdown writes the report as a Markdown table with totals below.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Policy **%s**", r.Policy)
	if r.Source != "" {
		fmt.Fprintf(&b, ": %s", escapeMarkdown(r.Source))
	}
	b.WriteString("\n\n")
	for i, line := range r.table() {
		for j := range line {
			line[j] = escapeMarkdown(line[j])
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat("---|", len(line)))
		}
	}
	b.WriteByte('\n')
	for _, t := range r.Totals {
		fmt.Fprintf(&b, "- **%s**: %d tensors, %d parameters\n", t.Group, t.Tensors, t.Count)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// table is the header and a line for each row and alias.
func (r *Report) table() [][]string {
	head := []string{"name", "shape", "count", "role", "group", "lr mult"}
	folded, rated := false, false
	for _, row := range r.Rows {
		folded = folded || row.Tensors > 1
		rated = rated || row.Rate != nil
	}
	if folded {
		head = append(head[:1], append([]string{"tensors"}, head[1:]...)...)
	}
	if rated {
		head = append(head, "lr", "lambda", "shrink/step", "tau (steps)")
	}
	out := [][]string{append(head, "why")}
	for _, row := range r.Rows {
		c := cells(row)
		line := c[:1:1]
		if folded {
			line = append(line, strconv.Itoa(row.Tensors))
		}
		line = append(append(line, shapeCell(row), strconv.Itoa(row.Count)), c[2:5]...)
		if rated {
			line = append(line, c[5:9]...)
		}
		out = append(out, append(line, c[9]))
		for _, alias := range row.Aliases {
			tied := make([]string, len(line)+1)
			tied[0], tied[len(line)] = alias, "tied to "+row.Name
			out = append(out, tied)
		}
	}
	return out
}

// cells are the parts of a row that folding compares: name, shape, role,
// group, lr multiplier, lr, lambda, shrink, tau, why.
func cells(row Row) []string {
	mult := ""
	rate := []string{"", "", "", ""}
	why := row.Why
	if row.LRMult != 0 || row.Group != frozen {
		mult = number(row.LRMult)
	}
	if row.Rate != nil {
		rate = []string{number(row.Rate.LR), number(row.Rate.Lambda), number(row.Rate.Shrink), number(row.Rate.Tau())}
		if row.Rate.Note != "" {
			why += "; NOTE: " + row.Rate.Note
		}
	}
	return append(append([]string{row.Name, shapeCell(row), row.Role.String(), row.Group, mult}, rate...), why)
}

func shapeCell(row Row) string {
	return strings.ReplaceAll(fmt.Sprint(row.Shape), " ", "")
}

func number(x float64) string {
	if math.IsInf(x, 1) {
		return "never"
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

func escapeMarkdown(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;").Replace(s)
}
