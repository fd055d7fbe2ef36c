package graph

import (
	"fmt"
	"io"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/graph/encoding"
	"gonum.org/v1/gonum/graph/encoding/dot"
	"gonum.org/v1/gonum/graph/multi"
	"gorgonia.org/gorgonia"
)

// palette colours groups in order of first appearance; a frozen parameter is
// grey, data and results are white.
var palette = []string{"#9ecae1", "#fdae6b", "#a1d99b", "#bcbddc", "#fc9272", "#d9d9a3"}

const frozenColor = "#d9d9d9"

// WriteDOT draws the graph that the cost is computed from in Graphviz's
// language: parameters as boxes coloured by the group that the function names,
// operations as ellipses, and all backward nodes collapsed into one. The output
// depends on the graph's structure alone, so two runs write the same bytes.
func WriteDOT(w io.Writer, cost *gorgonia.Node, ps *Params, group func(*Param) string) error {
	if cost == nil || ps == nil || cost.Graph() != ps.g {
		return errors.New("graph: WriteDOT needs a cost of the Params' graph")
	}
	if group == nil {
		group = func(*Param) string { return "parameters" }
	}
	d := &drawing{DirectedGraph: multi.NewDirectedGraph(), legend: multi.NewDirectedGraph(), colors: map[string]string{}}
	nodes := ancestors(cost)
	drawn := make(map[*gorgonia.Node]*drawnNode, len(nodes))
	for _, n := range nodes {
		dn := d.add(d.DirectedGraph, d.attributes(n, ps, group))
		drawn[n] = dn
		for _, c := range children(n) {
			d.SetLine(d.NewLine(drawn[c], dn))
		}
	}
	if back := ps.g.AllNodes().Len() - len(nodes); cost.Deriv() != nil && back > 0 {
		dn := d.add(d.DirectedGraph, attrs(
			"label", fmt.Sprintf("backward\n%d nodes, gradients of %d parameters", back, len(ps.Trainable())),
			"shape", "ellipse", "style", "dashed"))
		d.SetLine(d.NewLine(drawn[cost], dn))
	}
	out, err := dot.MarshalMulti(d, "gorget", "", "  ")
	if err != nil {
		return errors.Wrap(err, "graph: WriteDOT")
	}
	_, err = w.Write(append(out, '\n'))
	return err
}

type drawing struct {
	*multi.DirectedGraph
	legend *multi.DirectedGraph
	colors map[string]string
	next   int64
}

// add puts a node into g, a part of the drawing.
func (d *drawing) add(g *multi.DirectedGraph, a []encoding.Attribute) *drawnNode {
	n := &drawnNode{d.next, a}
	d.next++
	g.AddNode(n)
	return n
}

// color of a group; a new group gets the next colour and a line in the legend.
func (d *drawing) color(group string) string {
	c, ok := d.colors[group]
	if !ok {
		c = palette[len(d.colors)%len(palette)]
		if group == "frozen" {
			c = frozenColor
		}
		d.colors[group] = c
		d.add(d.legend, attrs("label", group, "shape", "box", "style", "filled", "fillcolor", c))
	}
	return c
}

func (d *drawing) attributes(n *gorgonia.Node, ps *Params, group func(*Param) string) []encoding.Attribute {
	shape := fmt.Sprint(n.Shape())
	if p := ps.Of(n); p != nil {
		name := "frozen"
		if !p.frozen {
			name = group(p)
		}
		label := strings.Join(append([]string{p.name}, p.aliases...), "\n= ")
		return attrs("label", fmt.Sprintf("%s\n%s %v", label, shape, p.role),
			"shape", "box", "style", "filled", "fillcolor", d.color(name))
	}
	if isLeaf(n) {
		return attrs("label", fmt.Sprintf("%s\n%s", n.Name(), shape), "shape", "box")
	}
	return attrs("label", fmt.Sprintf("%v\n%s", n.Op(), shape), "shape", "ellipse")
}

// DOTAttributers sets the direction of the drawing: data flows upwards.
func (d *drawing) DOTAttributers() (g, n, e encoding.Attributer) {
	return attributes(attrs("rankdir", "BT")), attributes(attrs("fontname", "Helvetica", "fontsize", "10")), attributes(nil)
}

// Structure puts the legend into a box of its own.
func (d *drawing) Structure() []dot.Multigraph {
	return []dot.Multigraph{legend{d.legend}}
}

type legend struct{ *multi.DirectedGraph }

func (legend) DOTID() string { return "cluster_legend" }

func (legend) DOTAttributers() (g, n, e encoding.Attributer) {
	return attributes(attrs("label", "parameter groups")), attributes(nil), attributes(nil)
}

func (l legend) Structure() []dot.Multigraph { return nil }

type drawnNode struct {
	id    int64
	attrs []encoding.Attribute
}

func (n *drawnNode) ID() int64                        { return n.id }
func (n *drawnNode) DOTID() string                    { return fmt.Sprintf("n%d", n.id) }
func (n *drawnNode) Attributes() []encoding.Attribute { return n.attrs }

type attributes []encoding.Attribute

func (a attributes) Attributes() []encoding.Attribute { return a }

func attrs(kv ...string) []encoding.Attribute {
	var a []encoding.Attribute
	for i := 0; i < len(kv); i += 2 {
		a = append(a, encoding.Attribute{Key: kv[i], Value: kv[i+1]})
	}
	return a
}
