package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"github.com/gorget/gorget/groups"
	"github.com/gorget/gorget/presets"
)

// runSystems prints what is commonly said of the named systems beside what was
// published, or one system whole.
func runSystems(_ context.Context, args []string, s streams) error {
	name, o, err := parseSystems(args, s.err)
	if err != nil {
		return err
	}
	if name == "" {
		return o.writeClaims(s.out)
	}
	system, err := presets.Named(name)
	if err != nil {
		return usagef("%v", err)
	}
	size := system.Largest()
	if o.size != "" {
		if size, err = system.Size(o.size); err != nil {
			return usagef("-size: %v", err)
		}
	}
	if o.policy != "" {
		if _, err := groups.PolicyNamed(o.policy); err != nil {
			return usagef("-policy: %v", err)
		}
	}
	return o.writeSystem(s.out, system, size)
}

// systemsOptions are the flags of the systems command.
type systemsOptions struct {
	json, markdown, all bool
	size, policy        string
	recipe              presets.Choice
}

// parseSystems takes the name of a system before, between or after the flags.
func parseSystems(args []string, help io.Writer) (name string, o systemsOptions, err error) {
	fs := flag.NewFlagSet("systems", flag.ContinueOnError)
	fs.SetOutput(help)
	fs.Usage = func() {
		fmt.Fprintln(help, "Usage: demo systems [flags]       what is said of the weight decay of each, and what was published\n"+
			"       demo systems NAME [flags]  one system: sizes, architecture, recipe, groups of parameters")
		fs.PrintDefaults()
	}
	fs.BoolVar(&o.json, "json", false, "write JSON")
	fs.BoolVar(&o.markdown, "markdown", false, "write Markdown")
	fs.BoolVar(&o.all, "v", false, "show every parameter in the group report, not those of all layers in one row")
	fs.StringVar(&o.size, "size", "", "of the system (default: its largest)")
	fs.StringVar(&o.policy, "policy", "", "which parameters decay (default: the recipe's policy)")
	fs.TextVar(&o.recipe, "recipe", presets.AsPublished, "published, or claimed: AdamW with the weight decay that circulates")
	for {
		if err := fs.Parse(args); err != nil {
			if err == flag.ErrHelp {
				return "", o, err
			}
			return "", o, usagef("%v", err)
		}
		if fs.NArg() == 0 {
			break
		}
		if name != "" {
			return "", o, usagef("unexpected argument %q, want one system", fs.Arg(0))
		}
		name, args = fs.Arg(0), fs.Args()[1:]
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if o.json && o.markdown {
		return "", o, usagef("-json and -markdown exclude each other")
	}
	for _, f := range []string{"size", "policy", "recipe", "v"} {
		if name == "" && given[f] {
			return "", o, usagef("-%s needs the name of a system", f)
		}
	}
	return name, o, nil
}

// claimRow is a line of the table of claims.
type claimRow struct {
	System string `json:"system"`
	Title  string `json:"title"`
	presets.Claim
}

// writeClaims prints the claims of all systems side by side with what was
// published.
func (o systemsOptions) writeClaims(w io.Writer) error {
	t := table{head: []string{"system", "commonly said", "verdict", "published", "source"}}
	var rows []claimRow
	for _, s := range presets.Systems() {
		rows = append(rows, claimRow{s.Name, s.Title, s.Claim})
		t.add(s.Title, s.Claim.Says, string(s.Claim.Verdict), s.Claim.Published, s.Claim.Source)
	}
	if o.json {
		return writeJSON(w, rows, "  ")
	}
	return o.writeTable(w, t)
}

func (o systemsOptions) writeTable(w io.Writer, t table) error {
	if o.markdown {
		return t.markdown(w)
	}
	return t.text(w)
}

// systemReport is all about one size of a system.
type systemReport struct {
	Name   string         `json:"name"`
	Title  string         `json:"title"`
	Paper  string         `json:"paper"`
	Claim  presets.Claim  `json:"claim"`
	Sizes  []presets.Size `json:"sizes"`
	Size   string         `json:"size"`   // that the rest is about
	Recipe presets.Choice `json:"recipe"` // that the rest is about
	Facts  []presets.Fact `json:"facts"`
	Groups *groups.Report `json:"groups"` // at the peak of the learning rate
}

// writeSystem prints a system whole.
func (o systemsOptions) writeSystem(w io.Writer, s presets.System, size presets.Size) error {
	facts, err := s.Facts(size, o.recipe)
	if err != nil {
		return err
	}
	report, err := size.Report(o.recipe, o.policy)
	if err != nil {
		return err
	}
	if !o.all {
		report = report.Folded()
	}
	if o.json {
		return writeJSON(w, systemReport{s.Name, s.Title, s.Paper, s.Claim, s.Sizes, size.Name, o.recipe, facts, report}, "  ")
	}
	head := func(text string) { fmt.Fprintf(w, "\n%s\n\n", text) }
	writeReport := report.WriteText
	if o.markdown {
		head = func(text string) { fmt.Fprintf(w, "\n## %s\n\n", text) }
		writeReport = report.WriteMarkdown
		fmt.Fprintf(w, "# %s\n\n%s\n", s.Title, s.Paper)
	} else {
		fmt.Fprintf(w, "%s\n%s\n", s.Title, s.Paper)
	}
	head("Commonly said, and published")
	claim := table{head: []string{"commonly said", "verdict", "published", "source"}}
	claim.add(s.Claim.Says, string(s.Claim.Verdict), s.Claim.Published, s.Claim.Source)
	if err := o.writeTable(w, claim); err != nil {
		return err
	}
	head("Sizes")
	if err := o.writeTable(w, sizesTable(s, o.recipe)); err != nil {
		return err
	}
	head(fmt.Sprintf("%s %s, recipe %v", s.Title, size.Name, o.recipe))
	fmt.Fprintf(w, "%s\n\n", size.Config.Describe())
	t := table{head: []string{"field", "value", "status", "source"}}
	for _, f := range facts {
		t.add(f.Field, f.Value, string(f.Status), f.Source)
	}
	if err := o.writeTable(w, t); err != nil {
		return err
	}
	head(fmt.Sprintf("Groups of parameters of %s, recipe %v, at the peak of the learning rate", size.Name, o.recipe))
	return writeReport(w)
}

func sizesTable(s presets.System, c presets.Choice) table {
	t := table{head: []string{"size", "printed", "parameters", "layers", "channels", "heads", "peak lr", "weight decay", "batch tokens"}}
	for _, z := range s.Sizes {
		r := z.Recipe
		if c == presets.AsClaimed {
			r = z.Claimed
		}
		t.add(z.Name, z.Printed, fmt.Sprint(z.Params), fmt.Sprint(z.Config.Layers), fmt.Sprint(z.Config.Channels), fmt.Sprint(z.Config.Heads),
			fmt.Sprint(r.LR), decayText(r), fmt.Sprint(r.BatchTokens))
	}
	return t
}
