use super::*;

fn routes(text: &str) -> Arc<StaticRoutes> {
    let head = "interfaces { lan0 { address 10.0.0.1/24; } wan0 { address 192.0.2.2/24; } }\n";
    ze_config::parse("test", &format!("{head}{text}")).unwrap().config.routes
}

/// What the engine says, one line an event.
fn said(engine: &mut StaticEngine) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(Output::Event(event)) = engine.poll_output() {
        lines.push(match event {
            Event::Configured => "configured".to_owned(),
            Event::Route(update) => format!("{} {} {}", update.vrf, update.prefix, show(&update.paths)),
        });
    }
    lines
}

fn show(paths: &[Path]) -> String {
    let path = |path: &Path| match &path.target {
        Target::Discard(discard) => format!("{}:{discard:?}", path.distance),
        Target::Via(vias) => {
            format!("{}:{}", path.distance, vias.iter().map(via).collect::<Vec<_>>().join("+"))
        }
    };
    format!("[{}]", paths.iter().map(path).collect::<Vec<_>>().join(" "))
}

fn via(via: &Via) -> String {
    let way = match &via.way {
        Way::Interface(interface) => format!("%{interface}"),
        Way::Gateway(gateway, None) => gateway.to_string(),
        Way::Gateway(gateway, Some(interface)) => format!("{gateway}%{interface}"),
        Way::Vrf(vrf) => format!("vrf {vrf}"),
    };
    format!("{way}*{}", via.weight)
}

fn told(engine: &mut StaticEngine, text: &str) -> Vec<String> {
    engine.handle_command(Command::Configure(routes(text)), Instant::now());
    said(engine)
}

fn link(engine: &mut StaticEngine, interface: &str, up: bool) -> Vec<String> {
    engine.handle_input(Input::Link { interface, up }, Instant::now());
    said(engine)
}

#[test]
fn each_kind_of_route_becomes_its_paths() {
    let mut engine = StaticEngine::new();
    let text = "static {
        route 0.0.0.0/0 { via 192.0.2.1 { weight 3; } via 192.0.2.3; interface wan0 { distance 9; } }
        route 198.51.100.0/24 { blackhole; }
        route 198.51.101.0/24 { reject; }
    }
    vrf blue { static { route 2001:db8::/32 { prohibit; } route ::/0 { lookup-vrf default { distance 7; } } } }";
    assert_eq!(
        told(&mut engine, text),
        [
            "blue ::/0 [7:vrf default*1]",
            "blue 2001:db8::/32 [1:Prohibit]",
            "default 0.0.0.0/0 [1:192.0.2.1*3+192.0.2.3*1 9:%wan0*1]",
            "default 198.51.100.0/24 [1:Blackhole]",
            "default 198.51.101.0/24 [1:Unreachable]",
            "configured",
        ]
    );
}

#[test]
fn only_the_difference_is_said_again() {
    let mut engine = StaticEngine::new();
    told(&mut engine, "static { route 10.1.0.0/16 { reject; } route 10.2.0.0/16 { reject; } }");
    assert_eq!(
        told(&mut engine, "static { route 10.2.0.0/16 { reject; } route 10.3.0.0/16 { blackhole; } }"),
        ["default 10.1.0.0/16 []", "default 10.3.0.0/16 [1:Blackhole]", "configured"]
    );
    assert_eq!(
        told(&mut engine, "static { route 10.2.0.0/16 { blackhole; } route 10.3.0.0/16 { blackhole; } }"),
        ["default 10.2.0.0/16 [1:Blackhole]", "configured"]
    );
}

#[test]
fn a_path_over_an_interface_that_is_down_is_left_out_until_it_is_up() {
    let mut engine = StaticEngine::new();
    let text = "static { route 0.0.0.0/0 { via 192.0.2.1%wan0; via 10.0.0.2 { distance 5; } }
        route 10.7.0.0/16 { interface lan0; } }";
    told(&mut engine, text);
    assert_eq!(link(&mut engine, "wan0", false), ["default 0.0.0.0/0 [5:10.0.0.2*1]"]);
    assert!(link(&mut engine, "wan0", false).is_empty());
    assert_eq!(link(&mut engine, "wan0", true), ["default 0.0.0.0/0 [1:192.0.2.1%wan0*1 5:10.0.0.2*1]"]);
    assert_eq!(link(&mut engine, "lan0", false), ["default 10.7.0.0/16 []"]);
    assert!(link(&mut engine, "other0", false).is_empty());
}

#[test]
fn links_that_went_down_before_the_routes_came_count() {
    let mut engine = StaticEngine::new();
    link(&mut engine, "lan0", false);
    assert_eq!(
        told(&mut engine, "static { route 10.7.0.0/16 { interface lan0; } }"),
        ["default 10.7.0.0/16 []", "configured"]
    );
}
