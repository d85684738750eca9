// What the programs in Go share: they show the features that they are asked for, in order.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

var tag = os.Getenv("DRIVER_TAG")

func table(name string) string { return name + "_" + tag }

func text(value interface{}) string {
	switch v := value.(type) {
	case []byte:
		if len(v) > 60 {
			return fmt.Sprintf("%d bytes", len(v))
		}
		return string(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case []interface{}:
		words := []string{}
		for _, one := range v {
			words = append(words, text(one))
		}
		return "(" + strings.Join(words, ",") + ")"
	case [][]interface{}:
		words := []string{}
		for _, one := range v {
			words = append(words, text(one))
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(value)
}

func show(values ...interface{}) {
	words := []string{}
	for _, value := range values {
		words = append(words, text(value))
	}
	fmt.Println(strings.ReplaceAll(strings.Join(words, " "), "\n", "\\n"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func run(features map[string]func()) {
	for _, name := range os.Args[1:] {
		fmt.Println("## " + name)
		feature, known := features[name]
		if !known {
			show("not supported: the driver has nothing of the kind")
			continue
		}
		func() {
			defer func() {
				if fault := recover(); fault != nil {
					show("failed:", fault)
				}
			}()
			feature()
		}()
	}
	fmt.Println("## end")
}
