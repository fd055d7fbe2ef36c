package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/pkg/errors"
)

// textWidth is how wide text for a person may be.
const textWidth = 120

// table is printed as text or as Markdown. Its last column may be long.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// text aligns the columns and breaks the last one.
func (t *table) text(w io.Writer) error {
	last := len(t.head) - 1
	widths := make([]int, last)
	all := append([][]string{t.head}, t.rows...)
	indent := 0
	for i := range widths {
		for _, row := range all {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i])+2)
		}
		indent += widths[i]
	}
	var b strings.Builder
	for _, row := range all {
		for i, width := range widths {
			b.WriteString(row[i] + strings.Repeat(" ", width-utf8.RuneCountInString(row[i])))
		}
		b.WriteString(wrap(row[last], indent) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return errors.Wrap(err, "table")
}

func (t *table) markdown(w io.Writer) error {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + escapeCell.Replace(c) + " ")
		}
		b.WriteString("|\n")
	}
	line(t.head)
	b.WriteString(strings.Repeat("|---", len(t.head)) + "|\n")
	for _, row := range t.rows {
		line(row)
	}
	_, err := io.WriteString(w, b.String())
	return errors.Wrap(err, "table")
}

var escapeCell = strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "\n", " ")

// wrap breaks text between words so that with its indent it fits textWidth, or
// 40 characters if the indent leaves less. The first line is not indented.
func wrap(text string, indent int) string {
	width := max(40, textWidth-indent)
	var b strings.Builder
	used := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case used == 0:
		case used+1+n > width:
			fmt.Fprintf(&b, "\n%*s", indent, "")
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}
