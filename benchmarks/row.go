package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// row is one measured figure.
type row struct {
	Name  string  `json:"name"`
	Case  string  `json:"case"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"` // s, ns/param, B, B/param, GB/s, GFLOP/s, tokens/s, or ratio
}

// writeJSON writes the row as one line.
func (r row) writeJSON(w io.Writer) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err // NaN or Inf: a measurement that went wrong
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// printer writes rows in one of three formats.
type printer struct {
	w      io.Writer
	format format
	rows   []row // for the next table
}

type format int

const (
	text format = iota
	jsonLines
	markdownTables
)

// add prints the rows, or keeps them for the table of their suite.
func (p *printer) add(rows []row) error {
	if p.format != jsonLines {
		p.rows = append(p.rows, rows...)
		return nil
	}
	for _, r := range rows {
		if err := r.writeJSON(p.w); err != nil {
			return err
		}
	}
	return nil
}

// finish prints the table of a suite.
func (p *printer) finish(title string) error {
	rows := p.rows
	p.rows = nil
	switch {
	case len(rows) == 0:
		return nil
	case p.format == markdownTables:
		return writeMarkdown(p.w, title, pivot(rows))
	}
	return writeText(p.w, title, pivot(rows))
}

// pivot arranges rows as a table, the cases against the names, the longer of
// the two downwards. The first line and the first column are headings.
func pivot(rows []row) [][]string {
	var names, cases []string
	cells := map[[2]string]string{}
	for _, r := range rows {
		name := r.Name + " [" + r.Unit + "]"
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if !slices.Contains(cases, r.Case) {
			cases = append(cases, r.Case)
		}
		cells[[2]string{name, r.Case}] = r.format()
	}
	if len(cases) > len(names) {
		return arrange(cases, names, func(i, j int) string { return cells[[2]string{names[j], cases[i]}] })
	}
	return arrange(names, cases, func(i, j int) string { return cells[[2]string{names[i], cases[j]}] })
}

func arrange(down, across []string, cell func(i, j int) string) [][]string {
	table := [][]string{append([]string{""}, across...)}
	for i := range down {
		line := []string{down[i]}
		for j := range across {
			line = append(line, cell(i, j))
		}
		table = append(table, line)
	}
	return table
}

// format gives three significant digits, or all of a larger whole part; bytes
// with a binary prefix.
func (r row) format() string {
	v := r.Value
	if r.Unit == "B" {
		for _, prefix := range []string{"", "Ki", "Mi"} {
			if math.Abs(v) < 1024 {
				return digits(v) + " " + prefix + "B"
			}
			v /= 1024
		}
		return digits(v) + " GiB"
	}
	return digits(v)
}

func digits(v float64) string {
	if a := math.Abs(v); a >= 100 || a == 0 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// writeText writes a table with aligned columns, the numbers to the right.
func writeText(w io.Writer, title string, table [][]string) error {
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for j, cell := range line {
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", title)
	for _, line := range table {
		fmt.Fprintf(&b, "  %-*s", widths[0], line[0])
		for j, cell := range line[1:] {
			fmt.Fprintf(&b, "  %*s", widths[j+1], cell)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMarkdown writes the table as GitHub's Markdown has it.
func writeMarkdown(w io.Writer, title string, table [][]string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", title)
	for i, line := range table {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---:|", len(line)-1))
		}
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
